"""Photos whose place is known: a folder of files that carry it in their EXIF, or a table with a column for each degree.

    photos/lund/1.jpg                 latitude, longitude, time, author out of the file; album: its folder
    photos/train/lund/1.jpg           splits where all top-level folders have their usual names, as in `imagefolder`
    photos.csv: file,LAT,LON,...      as `table`, with `--path-column file`; the other columns are kept

A photo without a position, or with one that cannot be right, is left out and counted by reason: no position, 0/0,
missing hemisphere, out of range, exactly 0, 0. Nothing is clamped or guessed (`vision/corpora/position.py`). Time,
author and album are there to split by: photos of one album on both sides of a split are no test.

Of each file the first 256 KiB are read for a listing, 16 files at once: 2,000 files/s from a local disk.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs

from vision.accumulator import Array
from vision.corpora import exif, table
from vision.corpora.columns import PLACE, is_number, is_text
from vision.corpora.exif import Tags
from vision.corpora.files import Ignored, batches, file_columns, images_below, relative, some
from vision.corpora.imagefolder import Part, find_parts
from vision.corpora.position import AXES, Axis, Unplaced, position, written
from vision.corpora.tabular import Tabular
from vision.layout import ENTRY, READ_AHEAD, Layout, Listing, Options, Source, WrongOption
from vision.sphere import FAULTS, faults

ROLES = {
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "time": ("time",),
    "author": ("author",),
    "album": ("album",),
}
"""What the columns of a table are called, in any case, where no option says it."""

_COLUMNS = pa.schema([
    ("latitude", pa.float64()), ("longitude", pa.float64()),
    ("time", pa.string()), ("author", pa.string()), ("album", pa.string()),
])  # fmt: skip
_AT_ONCE = 512


def scan(source: Source, options: Options) -> Listing:
    """List geotagged photos.

    Raises:
        WrongOption: if an option does not fit the source, or a table's columns cannot be told.
        ValueError: if a table is damaged, or a link leads back.
    """
    if source.is_file:
        return _of_table(source, options)
    for name in OPTIONS:
        if getattr(options, name):
            raise WrongOption(f"{name}: {source.root} is a folder of photos, which has no columns")
    parts, stray = find_parts(source)
    listing = Listing(_COLUMNS, ())
    listing.notes += [f"{len(stray):,} images beside the split folders left out: {some(stray)}"] if stray else []
    listing.entries = _of_files(source, parts, listing)
    return listing


def _of_files(source: Source, parts: Sequence[Part], listing: Listing) -> Iterator[pa.Table]:
    ignored, rejected = Ignored(), Ignored("photo")
    with ThreadPoolExecutor(READ_AHEAD) as pool:
        for part in parts:
            for infos in batches(images_below(source, part.path, ignored), _AT_ONCE):
                told = list(pool.map(partial(_tags, source.filesystem), infos))
                yield _placed(source, part, infos, told, rejected)
    _say(listing, ignored, rejected)


def _tags(filesystem: pafs.FileSystem, info: pafs.FileInfo) -> Tags:
    with filesystem.open_input_file(info.path) as stream:
        head = bytes(stream.read(exif.HEAD))
        whole = len(head) < exif.HEAD or exif.is_enough(head)
        return exif.read(head if whole else head + bytes(stream.read()))


def _placed(
    source: Source, part: Part, infos: Sequence[pafs.FileInfo], told: Sequence[Tags], rejected: Ignored
) -> pa.Table:
    """The entries of files that say where they were taken."""
    kept: list[tuple[pafs.FileInfo, Tags]] = []
    places: list[tuple[float, float]] = []
    for info, tags in zip(infos, told, strict=True):
        try:
            places.append(position(*tags.latitude, *tags.longitude))
            kept.append((info, tags))
        except Unplaced as error:
            rejected.add(str(error), relative(source, info.path))
    found = {
        **file_columns(source, [info for info, _ in kept], part.split),
        "latitude": pa.array([latitude for latitude, _ in places], pa.float64()),
        "longitude": pa.array([longitude for _, longitude in places], pa.float64()),
        "time": pa.array([time_of(tags.taken) for _, tags in kept], pa.string()),
        "author": pa.array([text_of(tags.author) for _, tags in kept], pa.string()),
        "album": pa.array([_album(info.path, part) for info, _ in kept], pa.string()),
    }
    return pa.table(found, schema=pa.schema([*ENTRY, *_COLUMNS]))


def _album(path: str, part: Part) -> str | None:
    """The folder that a photo lies in, below the source or its split."""
    return posixpath.dirname(path).removeprefix(part.path).strip("/") or None


def text_of(value: exif.Value | None) -> str | None:
    """A tag of text; None for none, or nothing but blanks."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return (text.split("\0")[0].strip() or None) if isinstance(text, str) else None


def time_of(value: exif.Value | None) -> str | None:
    """When a photo was taken, by its camera's clock, as `2008-10-22T16:28:39`; None where that is no time."""
    try:
        return datetime.strptime(text_of(value) or "", "%Y:%m:%d %H:%M:%S").isoformat()
    except ValueError:
        return None


def _say(listing: Listing, ignored: Ignored, rejected: Ignored) -> None:
    listing.notes += [*ignored.notes(), *rejected.notes()]
    listing.rejected.update(rejected.counts)


def _of_table(source: Source, options: Options) -> Listing:
    opened = table.tabular_of(source)
    meant = _meant(source, opened, options)
    listing = table.listed(source, opened, options, meant)
    entries = listing.entries
    columns = [pa.field(f.name, pa.float64()) if f.name in PLACE else f for f in listing.columns]
    listing.columns = pa.schema(columns)
    listing.entries = _of_rows(entries, listing)
    return listing


def _meant(source: Source, opened: Tabular, options: Options) -> dict[str, str]:
    """Names of columns to the names they get: as options say, else by their usual names.

    Raises:
        WrongOption: if there is no such column, or latitude and longitude cannot be told or hold neither numbers nor
            text.
    """
    asked = {f"{role}_column": getattr(options, f"{role}_column") for role in ROLES}
    table.check_named(source, opened.schema, asked)
    found = {}
    for role, usual in ROLES.items():
        likely = [name for name in opened.schema.names if name.lower() in usual]
        name = asked[f"{role}_column"] or (likely[0] if len(likely) == 1 else None)
        if name is None and role in PLACE:
            has = ", ".join(opened.schema.names)
            raise WrongOption(f"{role}_column says which column of {source.root} holds {role}s; it has {has}")
        if name is not None:
            found[name] = role
    for name, role in found.items():
        kind = opened.schema.field(name).type
        if role in PLACE and not (is_number(kind) or is_text(kind)):
            raise WrongOption(f"{role}_column: {name} holds {kind} and not degrees")
    return found


def _of_rows(entries: Iterable[pa.Table], listing: Listing) -> Iterator[pa.Table]:
    rejected = Ignored("photo")
    schema = pa.schema([*ENTRY, *listing.columns])
    for part in entries:
        reasons: list[str | None] = [None] * part.num_rows
        degrees = {name: _degrees(part[name], name, reasons) for name in AXES}
        codes = faults(degrees["latitude"], degrees["longitude"])
        for row, code in enumerate(codes.tolist()):
            reason = reasons[row] or (FAULTS[code] if code else None)
            if reason is not None:
                reasons[row] = reason
                rejected.add(reason, part["id"][row].as_py())
        columns = {name: part[name] for name in part.column_names} | degrees
        yield pa.table(columns, schema=schema).filter(pa.array([reason is None for reason in reasons], pa.bool_()))
    _say(listing, Ignored(), rejected)


def _degrees(column: pa.ChunkedArray, name: Axis, reasons: list[str | None]) -> Array:
    """(N,) degrees, nan where there are none; `reasons` gets why, where that is more than a fault of numbers."""
    found = np.full(len(column), np.nan)
    for row, value in enumerate(column.to_pylist()):
        try:
            if value is None:
                raise Unplaced(f"no {name}")
            found[row] = written(value, name) if isinstance(value, str) else float(value)
        except Unplaced as error:
            reasons[row] = reasons[row] or str(error)
    return found


OPTIONS = (*table.OPTIONS, *(f"{role}_column" for role in ROLES))
LAYOUT = Layout("geotagged", scan, table.images, options=OPTIONS)
