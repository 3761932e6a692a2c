"""The ids that are to be forgotten: exact in columns, as whole words in text.

In a column of ids a value is compared as a whole, whatever it looks like. In text (a log, a note, an error) only an id
that cannot be taken for something else is looked for: `17` or `cat` stand in many a sentence that is about no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import SpecError, nearest

SHORTEST = 5
"""Characters that an id needs, and one of them no letter, to be looked for in text."""

INSTEAD = "(forgotten)"


@dataclass(frozen=True)
class Ids:
    """Ids by the line or row of the file that names each first."""

    lines: dict[str, int]

    @classmethod
    def read(cls, url: str) -> Ids:
        """The ids in a file: a line each, or the column `id` of a CSV, TSV or Parquet table.

        Raises:
            SpecError: if there is no such file, it holds none, or the table has no such column.
        """
        try:
            data = storage.read(url)
        except OSError as error:
            raise SpecError(f"ids: {url} cannot be read ({error.strerror or str(error).splitlines()[0]})") from None
        lines: dict[str, int] = {}
        for number, text in _listed(url, data):
            if text:
                lines.setdefault(text, number)
        if not lines:
            raise SpecError(f"ids: {url} holds no ids")
        return cls(lines)

    @cached_property
    def array(self) -> pa.Array:
        return pa.array(list(self.lines), pa.string())

    def among(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        """(N,) whether each value of a column is one of the ids."""
        return pc.is_in(column.cast(pa.string()), value_set=self.array)

    @cached_property
    def telling(self) -> tuple[str, ...]:
        """Those that are looked for in text, the longest first: an id may be the end of another."""
        found = [text for text in self.lines if len(text) >= SHORTEST and not text.isalpha() and not _number(text)]
        return tuple(sorted(found, key=lambda text: (-len(text), text)))

    def scrubbed(self, text: str) -> str:
        """Text with `(forgotten)` in place of each telling id, as it is or as HTML spells it."""
        found = [spelt for id_ in self.telling for spelt in {id_: 0, escape(id_): 0} if spelt in text]
        if not found:
            return text
        return re.sub(rf"(?<!\w)(?:{'|'.join(map(re.escape, found))})(?!\w)", INSTEAD, text)


def _number(text: str) -> bool:
    return re.fullmatch(r"[\d.,:+-]+", text) is not None


def _listed(url: str, data: bytes) -> Iterator[tuple[int, str]]:
    ending = url.lower().rsplit(".", 1)[-1]
    if ending not in ("csv", "tsv", "parquet"):
        try:
            yield from enumerate((line.strip() for line in data.decode("utf-8-sig").splitlines()), 1)
        except UnicodeDecodeError:
            raise SpecError(f"ids: {url} is neither text in UTF-8, a line an id, nor a .csv or .parquet file") from None
        return
    try:
        table = pq.read_table(pa.BufferReader(data)) if ending == "parquet" else _csv(data, ending)
    except (pa.ArrowInvalid, OSError) as error:
        raise SpecError(f"ids: {url} cannot be read: {str(error).splitlines()[0]}") from None
    if "id" not in table.column_names:
        raise SpecError(f"ids: {url} has no column 'id'{nearest('id', table.column_names)}")
    yield from enumerate(("" if v is None else v for v in table["id"].cast(pa.string()).to_pylist()), 1)


def _csv(data: bytes, ending: str) -> pa.Table:
    # As written: 007 is an id, and not the number 7.
    return pacsv.read_csv(
        pa.BufferReader(data),
        parse_options=pacsv.ParseOptions(delimiter="\t" if ending == "tsv" else ","),
        convert_options=pacsv.ConvertOptions(column_types={"id": pa.string()}, null_values=[""]),
    )
