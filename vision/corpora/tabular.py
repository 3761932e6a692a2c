"""A CSV, TSV or Parquet file as a stream of typed batches: never the whole table in memory.

A CSV is read twice. The first time decides each column's type from all its values: whole numbers, numbers, true or
false, else text; an empty field is null. Numbers with leading zeros are text, so that codes survive.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from vision.corpora.columns import plain
from vision.corpora.files import BATCH
from vision.layout import Source, WrongOption

_BLOCK = 8 * 2**20
_PATTERNS = {
    pa.int64(): r"^-?(0|[1-9]\d{0,17})$",
    pa.float64(): r"^(-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?|-?\.\d+|[nN]a[nN]|-?inf)$",
    pa.bool_(): r"^(true|false|True|False|TRUE|FALSE)$",
}


@dataclass(frozen=True)
class Tabular:
    """A table on disk.

    Attributes:
        schema: its columns, with the types they are kept in and the metadata they came with.
        batches: (columns, columns wanted as text) to tables of up to `BATCH` rows, in order; may be called again.
        row_bytes: column to (rows, mean bytes a row) of each part of the file, where it is made of parts.
    """

    schema: pa.Schema
    batches: Callable[[Sequence[str], Sequence[str]], Iterator[pa.Table]]
    row_bytes: Callable[[str], list[tuple[int, int]]]


def opened(source: Source) -> Tabular:
    """The table in a file, by its ending.

    Raises:
        WrongOption: if it is not a CSV, TSV or Parquet file.
        ValueError: if it is damaged, ragged or truncated.
    """
    name = source.root.lower().removesuffix(".gz")
    if name.endswith(".parquet"):
        return _parquet(source)
    if name.endswith((".csv", ".tsv")):
        return _csv(source, "\t" if name.endswith(".tsv") else ",")
    raise WrongOption(f"source: {source.root} is not a .csv, .tsv or .parquet file, which a table is")


@contextmanager
def named(path: str) -> Iterator[None]:
    """Arrow's complaints, with the file they are about."""
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def _parquet(source: Source) -> Tabular:
    with named(source.root), parquet_file(source) as file:
        given = file.schema_arrow
        schema = pa.schema([pa.field(f.name, plain(f.type)) for f in given], metadata=given.metadata)

    def batches(columns: Sequence[str], text: Sequence[str]) -> Iterator[pa.Table]:
        with named(source.root), parquet_file(source) as file:
            for batch in file.iter_batches(BATCH, columns=list(columns)):
                table = pa.Table.from_batches([batch])
                yield _cast(table, pa.schema([_text_field(schema.field(n), text) for n in table.column_names]))

    def row_bytes(column: str) -> list[tuple[int, int]]:
        with named(source.root), parquet_file(source) as file:
            groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
            return [(group.num_rows, _column_bytes(group, column) // max(group.num_rows, 1)) for group in groups]

    return Tabular(schema, batches, row_bytes)


def parquet_file(source: Source) -> pq.ParquetFile:
    return pq.ParquetFile(source.root, filesystem=source.filesystem, buffer_size=_BLOCK)


def _column_bytes(group: pq.RowGroupMetaData, column: str) -> int:
    chunks = (group.column(i) for i in range(group.num_columns))
    return sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] == column)


def _text_field(field: pa.Field, text: Sequence[str]) -> pa.Field:
    return pa.field(field.name, pa.string()) if field.name in text else field


def _cast(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [table[name] for name in schema.names]
    kinds = [schema.field(name).type for name in schema.names]
    return pa.table([c.cast(k) for c, k in zip(columns, kinds, strict=True)], schema=schema.remove_metadata())


def _csv(source: Source, delimiter: str) -> Tabular:
    with named(source.root):
        _all_closed(source, delimiter)
        names = _names(source, delimiter)
        schema = pa.schema(list(_types(source, delimiter, names).items()))

    def batches(columns: Sequence[str], text: Sequence[str]) -> Iterator[pa.Table]:
        with named(source.root):
            wanted = pa.schema([_text_field(schema.field(name), text) for name in columns])
            for table in _texts(source, delimiter, columns):
                for start in range(0, table.num_rows, BATCH):
                    yield _cast(_with_nulls(table.slice(start, BATCH)), wanted)

    return Tabular(schema, batches, lambda column: [])


def _texts(source: Source, delimiter: str, names: Sequence[str], *, only: bool = True) -> Iterator[pa.Table]:
    """The file in blocks, each column as text."""
    convert = pacsv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), include_columns=list(names) if only else None
    )
    with source.filesystem.open_input_stream(source.root) as stream:
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(block_size=_BLOCK, use_threads=False),
            parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=convert,
        )
        for batch in reader:
            yield pa.Table.from_batches([batch])


def _names(source: Source, delimiter: str) -> list[str]:
    with source.filesystem.open_input_stream(source.root) as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            names = next(csv.reader(lines, delimiter=delimiter), [])
        except UnicodeDecodeError:
            raise ValueError(f"{source.root} is not text in UTF-8") from None
    if not names:
        raise ValueError(f"{source.root} is empty")
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise ValueError(f"{source.root} has two columns called {doubled[0]!r}")
    return names


def _types(source: Source, delimiter: str, names: Sequence[str]) -> dict[str, pa.DataType]:
    """The narrowest type that holds every value of a column."""
    possible = {name: list(_PATTERNS) for name in names}
    filled = dict.fromkeys(names, False)
    for table in _texts(source, delimiter, names):
        for name in names:
            values = _with_nulls(table.select([name]))[name].drop_null()
            filled[name] |= len(values) > 0
            possible[name] = [
                kind
                for kind in possible[name]
                if pc.all(pc.match_substring_regex(values, _PATTERNS[kind])).as_py() is not False
            ]
    return {name: (possible[name] or [pa.string()])[0] if filled[name] else pa.string() for name in names}


def _with_nulls(table: pa.Table) -> pa.Table:
    columns = [pc.if_else(pc.equal(column, ""), None, column) for column in table.columns]
    return pa.table(columns, names=table.column_names)


def _all_closed(source: Source, delimiter: str) -> None:
    """Refuse a file that ends inside a quoted field: Arrow would take the rest of it as one value."""
    quotes = 0
    with source.filesystem.open_input_stream(source.root) as stream:
        while chunk := stream.read(_BLOCK):
            quotes += bytes(chunk).count(b'"')
    if quotes % 2 == 0:
        return
    with source.filesystem.open_input_stream(source.root) as stream:
        lines = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="")
        try:
            for _ in csv.reader(lines, delimiter=delimiter, strict=True):
                pass
        except csv.Error as error:
            raise ValueError(f"{source.root} is cut short or has a stray quote: {error}") from None
