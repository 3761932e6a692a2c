"""A table of images: a CSV, TSV or Parquet file with a column of paths, or a Parquet file that holds the images.

Relative paths start at the table's folder; absolute ones and `s3://` work too. The columns that play no part are kept
with their types. Ids are the `--id-column`, else a column `id`, else the path, else the number of the row.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from vision.corpora import columns, tabular
from vision.corpora.files import some
from vision.corpora.tabular import Tabular
from vision.layout import ENTRY, Layout, Listing, Options, Source, WrongOption, read_files

OPTIONS = ("path_column", "image_column", "label_column", "split_column", "id_column", "skip_missing")
_IMAGES = 64


@dataclass(frozen=True)
class Plan:
    """How a table is read: the columns with a part, the labels, and what the other columns will be called."""

    options: Options
    id_column: str | None
    labels: columns.Labels | None
    kept: dict[str, str]
    schema: pa.Schema
    meant: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> list[str]:
        """Columns that are wanted as they are written."""
        found = (self.id_column, self.options.path_column, self.options.split_column)
        return [name for name in found if name]

    def is_place(self, name: str) -> bool:
        """Whether a column is one of degrees, by its own name."""
        return self.kept[name] in columns.PLACE and name not in self.meant

    @property
    def read(self) -> list[str]:
        label = [self.labels.column] if self.labels else []
        return list(dict.fromkeys([*self.text, *label, *self.kept]))


def scan(source: Source, options: Options) -> Listing:
    """List a table.

    Raises:
        WrongOption: if the source is no table, or lacks a column that was named.
        ValueError: if it is damaged, or a column cannot play its part.
    """
    return listed(source, tabular_of(source), options, {})


def tabular_of(source: Source) -> Tabular:
    """The table that a source is.

    Raises:
        WrongOption: if it is none.
        ValueError: if it is damaged.
    """
    if not source.is_file:
        raise WrongOption(f"source: {source.root} is not a file, which a table is")
    return tabular.opened(source)


def listed(source: Source, table: Tabular, options: Options, meant: Mapping[str, str]) -> Listing:
    """The same for a table that is open, of which some columns get the names in `meant` and are kept as they stand."""
    plan, notes = _plan(source, table, options, meant)
    listing = Listing(plan.schema, (), plan.labels.classes if plan.labels else None, notes)
    listing.entries = _entries(source, table, plan, listing)
    return listing


def _plan(source: Source, table: Tabular, options: Options, meant: Mapping[str, str]) -> tuple[Plan, list[str]]:
    id_column = options.id_column or ("id" if "id" in table.schema.names else None)
    named = {name: getattr(options, name) for name in OPTIONS if name.endswith("_column")}
    _check_columns(source, table.schema, named)
    if options.image_column:
        _check_images(table.schema.field(options.image_column))
    labels = _labels(table, options.label_column)
    used = [id_column, options.image_column, options.split_column, options.label_column]
    # A path that is not the id would be lost.
    used += [] if id_column and id_column != options.path_column else [options.path_column]
    kept, notes = columns.kept_names(table.schema, [name for name in used if name], meant)
    fields = [pa.field("label", pa.int32())] if labels else []
    plan = Plan(options, id_column, labels, kept, pa.schema([]), meant)
    for name, new in kept.items():
        as_text = pa.string() if name in plan.text else table.schema.field(name).type
        fields.append(pa.field(new, pa.float64() if plan.is_place(name) else as_text))
    return replace(plan, schema=pa.schema(fields)), notes


def _check_columns(source: Source, schema: pa.Schema, named: dict[str, str | None]) -> None:
    if bool(named["path_column"]) == bool(named["image_column"]):
        has = f"{source.root} has {', '.join(schema.names)}"
        raise WrongOption(f"path_column or image_column, one of them, says where the images are; {has}")
    check_named(source, schema, named)


def check_named(source: Source, schema: pa.Schema, named: Mapping[str, str | None]) -> None:
    """Refuse names, by option, that are no column's.

    Raises:
        WrongOption: with the nearest.
    """
    for option, name in named.items():
        if name and name not in schema.names:
            close = difflib.get_close_matches(name, schema.names, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise WrongOption(f"{option}: no column {name!r}{hint} ({source.root} has {', '.join(schema.names)})")


def _check_images(field: pa.Field) -> None:
    kind = field.type
    if pa.types.is_struct(kind) and "bytes" in [kind.field(i).name for i in range(kind.num_fields)]:
        return
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)):
        hint = " (paths are read with path_column)" if columns.is_text(kind) else ""
        raise WrongOption(f"image_column: {field.name} is {kind}, not the bytes of images{hint}")


def _labels(table: Tabular, column: str | None) -> columns.Labels | None:
    if column is None:
        return None
    chunks = (chunk for batch in table.batches([column], []) for chunk in batch[column].chunks)
    names = columns.class_names(table.schema, column)
    return columns.labels_of(column, table.schema.field(column).type, chunks, names)


def _entries(source: Source, table: Tabular, plan: Plan, listing: Listing) -> Iterator[pa.Table]:
    row, missing = 0, list[str]()
    in_rows = _InRows(source, table, plan.options.image_column) if plan.options.image_column else None
    for batch in _batches(table, plan):
        if in_rows:
            where = in_rows.columns(row, batch.num_rows)
        else:
            where = _in_files(source, batch[plan.options.path_column or ""].to_pylist())
        there = where.pop("there")
        values = {"id": _ids(plan, batch, row), "split": _splits(plan, batch, row), **where, **_kept(plan, batch)}
        entries = pa.table(values, schema=pa.schema([*ENTRY, *plan.schema]))
        missing += entries["file"].filter(pa.array(~there)).to_pylist()
        row += batch.num_rows
        yield entries.filter(pa.array(there))
    if missing:
        message = f"{len(missing):,} files in {source.root} do not exist: {some(missing)}"
        if not plan.options.skip_missing:
            raise ValueError(f"{message} (--skip-missing leaves them out)")
        listing.notes.append(f"left out: {message}")


def _batches(table: Tabular, plan: Plan) -> Iterator[pa.Table]:
    if plan.read:
        yield from table.batches(plan.read, plan.text)
        return
    # Images and nothing else: rows are counted without reading any column.
    for rows, _ in table.row_bytes(plan.options.image_column or ""):
        yield pa.table({"": pa.nulls(rows)})


def _in_files(source: Source, paths: Sequence[str | None]) -> dict[str, pa.Array]:
    """Where images with files of their own are, and whether they are there."""
    written = [path or "(empty)" for path in paths]
    places = [source.at(path) for path in written]
    infos: list[pafs.FileInfo | None] = [None] * len(places)
    for kind in {filesystem.type_name for filesystem, _ in places}:
        chosen = [i for i, (filesystem, _) in enumerate(places) if filesystem.type_name == kind]
        found = places[chosen[0]][0].get_file_info([places[i][1] for i in chosen])
        for i, info in zip(chosen, found, strict=True):
            infos[i] = info if info.type == pafs.FileType.File else None
    return {
        "file": pa.array(written, pa.string()),
        "offset": pa.nulls(len(written), pa.int64()),
        "length": pa.array([info and info.size for info in infos], pa.int64()),
        "modified": pa.array([info and str(info.mtime_ns) for info in infos], pa.string()),
        "there": np.array([info is not None for info in infos], bool),
    }


class _InRows:
    """Where images that lie in the table are: by the number of their row."""

    def __init__(self, source: Source, table: Tabular, column: str) -> None:
        self._modified = str(source.filesystem.get_file_info(source.root).mtime_ns)
        groups = table.row_bytes(column)
        self._means = np.repeat([mean for _, mean in groups], [rows for rows, _ in groups])

    def columns(self, first: int, rows: int) -> dict[str, pa.Array]:
        return {
            "file": pa.array([""] * rows, pa.string()),
            "offset": pa.array(np.arange(first, first + rows)),
            "length": pa.array(self._means[first : first + rows].astype(np.int64)),
            "modified": pa.array([self._modified] * rows, pa.string()),
            "there": np.ones(rows, bool),
        }


def _ids(plan: Plan, batch: pa.Table, first: int) -> pa.Array:
    column = plan.id_column or plan.options.path_column
    if column is None:
        return pa.array([str(row) for row in range(first, first + batch.num_rows)], pa.string())
    return _filled(batch, column, first)


def _splits(plan: Plan, batch: pa.Table, first: int) -> pa.Array:
    if plan.options.split_column is None:
        return pa.nulls(batch.num_rows, pa.string())
    return _filled(batch, plan.options.split_column, first)


def _filled(batch: pa.Table, column: str, first: int) -> pa.Array:
    values = batch[column].combine_chunks()
    if values.null_count:
        row = first + values.to_pylist().index(None)
        raise ValueError(f"column {column} is empty in row {row} (counted from 0)")
    return values


def _kept(plan: Plan, batch: pa.Table) -> dict[str, pa.Array]:
    found = {}
    if plan.labels:
        found["label"] = plan.labels.encode(batch[plan.labels.column].combine_chunks())
    for name, new in plan.kept.items():
        values = batch[name].combine_chunks()
        found[new] = columns.place(new, values) if plan.is_place(name) else values
    return found


def images(source: Source, entries: pa.Table, options: Options) -> Iterator[bytes]:
    """The bytes of each entry; an empty cell gives no bytes, which later is an error row.

    Raises:
        OSError: if a file is missing or changed.
        ValueError: if the table is damaged.
    """
    if options.image_column is None:
        return read_files(source, entries)
    return _from_rows(source, entries["offset"].to_pylist(), options.image_column)


def _from_rows(source: Source, rows: Sequence[int], column: str) -> Iterator[bytes]:
    """Cells of a column by ascending row number, row group by row group."""
    wanted, start = list(reversed(rows)), 0
    with tabular.named(source.root), tabular.parquet_file(source) as file:
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if wanted and wanted[-1] < end:
                yield from _from_group(source, file, group, start, end, wanted, column)
            start = end
    if wanted:
        raise ValueError(f"{source.root} has {start:,} rows, row {wanted[-1]} was listed: it changed")


def _from_group(
    source: Source, file: pq.ParquetFile, group: int, start: int, end: int, wanted: list[int], column: str
) -> Iterator[bytes]:
    at = start
    for batch in file.iter_batches(_IMAGES, row_groups=[group], columns=[column]):
        cells = batch.column(0)
        while wanted and wanted[-1] < at + len(cells):
            yield _cell(source, cells[wanted.pop() - at].as_py())
        at += len(cells)
        if not wanted or wanted[-1] >= end:
            return


def _cell(source: Source, value: object) -> bytes:
    """An image, or the struct {bytes, path} of Hugging Face's `datasets`, which may only point at a file."""
    if not isinstance(value, dict):
        return bytes(value) if isinstance(value, bytes) else b""
    if value["bytes"] is None and value.get("path"):
        filesystem, path = source.at(value["path"])
        with filesystem.open_input_file(path) as stream:
            return bytes(stream.read())
    return value["bytes"] or b""


LAYOUT = Layout("table", scan, images, options=OPTIONS)
