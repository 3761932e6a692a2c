"""WebDataset: tar archives in which the files of a record share a name up to the first dot.

    000017.jpg  the image        000017.txt   `caption`
    000017.cls  `label`          000017.json  its fields as columns, nested ones joined by `_`

Ids are `<archive>/<key>`. An uncompressed archive is read by byte ranges, so any shard is cut out of it at once; a
compressed one is decompressed from its beginning for every shard, and is better split into small archives. What the
records say is kept in a temporary file (about 0.3 KB each) until the types of all columns are known.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs

from vision.corpora import archives
from vision.corpora.columns import Labels, kept_names, labels_of
from vision.corpora.files import BATCH, ENDINGS, SPLITS, Ignored, batches, is_hidden, listed, relative
from vision.corpora.loose import Spool, column_type, flatten, kind, shaped
from vision.layout import ENTRY, Layout, Listing, Options, Source, WrongOption

SAID = pa.schema([*ENTRY, pa.field("cls", pa.string()), pa.field("txt", pa.string()), pa.field("json", pa.string())])
"""An entry and what was said of it, as it was written."""


@dataclass
class Found:
    """All records of the archives, the kinds of value that each JSON field held, and what else occurred."""

    spool: Spool = field(default_factory=lambda: Spool(SAID))
    kinds: dict[str, set[str]] = field(default_factory=dict)
    labelled: bool = False
    captioned: bool = False
    ignored: Ignored = field(default_factory=Ignored)


def scan(source: Source, options: Options) -> Listing:
    """List archives.

    Raises:
        WrongOption: if there are none.
        ValueError: if one is truncated or hostile, or a record has two images or a damaged JSON.
    """
    found = Found()
    for rows in batches(_records(source, found), BATCH):
        found.spool.write(pa.Table.from_pylist(rows, schema=SAID))
    schema = pa.schema([pa.field(name, column_type(kinds)) for name, kinds in sorted(found.kinds.items())])
    labels = _labels(found, schema, options.label_column)
    kept, notes = kept_names(schema, [options.label_column] if options.label_column else [])
    if found.captioned and "caption" in kept:
        kept["caption"] = "source_caption"
        notes.append("field caption is kept as source_caption, because captions are taken from .txt")
    fields = [pa.field("label", pa.int32())] if labels else []
    fields += [pa.field("caption", pa.string())] if found.captioned else []
    fields += [pa.field(new, schema.field(name).type) for name, new in kept.items()]
    columns = pa.schema(fields)
    entries = (_table(rows, labels, options.label_column, kept, schema, columns) for rows in found.spool.read())
    return Listing(columns, entries, labels.classes if labels else None, [*notes, *found.ignored.notes()])


def _archives(source: Source) -> list[pafs.FileInfo]:
    """The archives of a source: itself, those that fit its pattern, or those in its folder and folders of splits."""
    if source.is_file:
        return [source.filesystem.get_file_info(source.root)]
    folders, files = listed(source.filesystem, source.folder)
    pattern = posixpath.basename(source.root) if source.folder != source.root else "*"
    if pattern == "*":
        files += itertools.chain.from_iterable(listed(source.filesystem, folder.path)[1] for folder in folders)
    found = [info for info in files if fnmatch.fnmatchcase(posixpath.basename(info.path), pattern)]
    return [info for info in found if info.path.endswith(archives.ENDINGS)]


def _records(source: Source, found: Found) -> Iterator[dict[str, Any]]:
    infos = _archives(source)
    if not infos or not all(info.path.endswith(archives.ENDINGS) for info in infos):
        raise WrongOption(f"source: {source.root} is no .tar or .tar.gz, nor a folder or pattern of them")
    for info in infos:
        name = relative(source, info.path)
        top = name.split("/")[0]
        record = {
            "split": top if "/" in name and top.lower() in SPLITS else None,
            "file": "" if source.is_file else name,
            "modified": str(info.mtime_ns),
        }
        members = archives.members(source.filesystem, info.path)
        read = (part for member in members if (part := _part(member, name, found)) is not None)
        for key, parts in itertools.groupby(read, key=lambda part: part[0]):
            row = {**record, "id": f"{name}/{key}"}
            for _, said in parts:
                if "length" in said and "length" in row:
                    raise ValueError(f"{name}: record {key} has two images")
                row |= said
            if "length" in row:
                _note(row, found)
                yield row
            else:
                found.ignored.add("records without an image", f"{name}/{key}")


def _part(member: archives.Member, archive: str, found: Found) -> tuple[str, dict[str, Any]] | None:
    """The key of a member and what it adds to its record: an image's place, or text."""
    folder, base = posixpath.split(member.path)
    stem, _, ending = base.partition(".")
    if is_hidden(base) or not ending:
        found.ignored.add("members without a key or an ending", f"{archive}/{member.path}")
        return None
    key = posixpath.join(folder, stem)
    if ending.lower() in ENDINGS:
        return key, {"offset": member.offset, "length": member.size}
    if ending in ("cls", "txt", "json"):
        try:
            return key, {ending: member.read().decode("utf-8").strip()}
        except UnicodeDecodeError:
            raise ValueError(f"{archive}: {member.path} is not text in UTF-8") from None
    found.ignored.add(f"members .{ending}", f"{archive}/{member.path}")
    return None


def _note(row: dict[str, Any], found: Found) -> None:
    """Learn from a record which columns there are."""
    found.labelled |= "cls" in row
    found.captioned |= "txt" in row
    for name, value in _fields(row.get("json"), row["id"]).items():
        found.kinds.setdefault(name, set()).add(kind(value))


def _fields(text: str | None, record: str) -> dict[str, Any]:
    try:
        fields = json.loads(text) if text else {}
    except ValueError as error:
        raise ValueError(f"{record}.json is damaged: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{record}.json is not an object but {type(fields).__name__}")
    return flatten(fields)


def _labels(found: Found, schema: pa.Schema, column: str | None) -> Labels | None:
    if column is not None and column not in schema.names:
        raise WrongOption(f"label_column: no record has the field {column!r}, only {', '.join(schema.names) or 'none'}")
    if column is not None:
        chunks = (_values(rows, column, schema) for rows in found.spool.read())
        return labels_of(column, schema.field(column).type, chunks, None)
    if not found.labelled:
        return None
    numbers = all(_all_numbers(rows["cls"]) for rows in found.spool.read())
    texts = (chunk for rows in found.spool.read() for chunk in rows["cls"].chunks)
    return labels_of("cls", pa.int64() if numbers else pa.string(), texts, None)


def _all_numbers(column: pa.ChunkedArray) -> bool:
    return pc.all(pc.match_substring_regex(column, r"^-?\d{1,18}$")).as_py() is not False


def _values(rows: pa.Table, column: str, schema: pa.Schema) -> pa.Array:
    wanted = schema.field(column).type
    return pa.array([shaped(_fields(text, "").get(column), wanted) for text in rows["json"].to_pylist()], wanted)


def _table(
    rows: pa.Table,
    labels: Labels | None,
    label_column: str | None,
    kept: dict[str, str],
    schema: pa.Schema,
    columns: pa.Schema,
) -> pa.Table:
    values: dict[str, Any] = {name: rows[name] for name in ENTRY.names}
    if labels and label_column:
        values["label"] = labels.encode(_values(rows, label_column, schema))
    elif labels:
        written = rows["cls"].combine_chunks()
        values["label"] = labels.encode(written if labels.named else written.cast(pa.int64()))
    if "caption" in columns.names:
        values["caption"] = rows["txt"]
    parsed = [_fields(text, "") for text in rows["json"].to_pylist()]
    for name, new in kept.items():
        wanted = schema.field(name).type
        values[new] = pa.array([shaped(fields.get(name), wanted) for fields in parsed], wanted)
    return pa.table(values, schema=pa.schema([*ENTRY, *columns]))


def images(source: Source, entries: pa.Table, options: Options) -> Iterator[bytes]:
    """The bytes of each entry, archive by archive.

    Raises:
        OSError: if an archive is missing or shorter than it was.
    """
    names = ("file", "offset", "length")
    places = zip(*(entries[name].to_pylist() for name in names), strict=True)
    for file, inside in itertools.groupby(places, key=lambda place: place[0]):
        filesystem, path = source.at(file)
        with archives.opened(filesystem, path) as stream:
            for _, offset, length in inside:
                stream.seek(offset)
                data = stream.read(length)
                if len(data) != length:
                    raise OSError(f"{path} ends before byte {offset + length:,}: it changed since it was listed")
                yield data


LAYOUT = Layout("webdataset", scan, images, inside_containers=True, options=("label_column",))
