"""Where an audit's rows come from: a corpus, alone or beside predictions, or a table in one file or many.

A part is what one worker reads at a time: a shard, or a file. Parquet is streamed, and only the columns that are
needed; its texts stay dictionaries. A CSV, and a table of which a subset is asked for, is whole in memory while it is
read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs import storage, tables
from jobs.answers import Answers
from jobs.choosing import chosen, narrowed
from jobs.reading import PREDICTED, Reading, pieces
from jobs.records import Reads
from jobs.spec import SpecError, nearest

ROWS = 1 << 18
"""Rows in memory at once."""

ROLES = ("id", "truth", "prediction", "score", "count", "rate", "probabilities", "latitude", "longitude")


@dataclass(frozen=True)
class Columns:
    """Names of columns by what they are to an audit; None: there is none."""

    by: tuple[str, ...]
    truth: str | None = None
    prediction: str | None = None
    score: str | None = None
    count: str | None = None
    person: str | None = None
    id: str | None = None
    also: tuple[str, ...] = ()
    probabilities: str | None = None
    latitude: str | None = None
    longitude: str | None = None

    @property
    def needed(self) -> list[str]:
        named = (*self.by, *self.also, self.truth, self.prediction, self.score, self.count, self.person)
        return list(dict.fromkeys(name for name in named if name))

    def check(self, known: Sequence[str], what: str) -> None:
        """Refuse rows that lack a column.

        Raises:
            SpecError: naming it, and the nearest.
        """
        for name in [*self.needed, *([self.id] if self.id else [])]:
            if name not in known:
                hint = nearest(name, list(known)) or f" (columns: {', '.join(known)})"
                raise SpecError(f"{what} has no column {name!r}{hint}")


class Source(Protocol):
    """Rows in parts."""

    @property
    def parts(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> int:
        """How many there are, as far as that is known beforehand."""
        ...

    def names(self) -> list[str]:
        """The columns."""
        ...

    def tables(self, part: str, columns: Columns) -> Iterator[pa.Table]:
        """The rows of a part, in runs."""
        ...


@dataclass(frozen=True)
class Shards:
    """A corpus, with the answers to it if there are any."""

    reading: Reading
    answers: Answers | None
    parts: tuple[str, ...]
    rows: int

    @classmethod
    def of(cls, reading: Reading, answers: Answers | None) -> Shards:
        present = reading.corpus.present(reading.split)
        files = tuple(shard.file for shard in present) if answers is None else answers.shards
        return cls(reading, answers, files, sum(shard.rows for shard in present if shard.file in set(files)))

    def names(self) -> list[str]:
        return list(self._whole(self.parts[0]).column_names) if self.parts else []

    def tables(self, part: str, columns: Columns) -> Iterator[pa.Table]:
        yield from pieces(self._whole(part).select(columns.needed), ROWS)

    def _whole(self, part: str) -> pa.Table:
        return self.reading.small(part) if self.answers is None else self.answers.piece(part)

    def columns(self, by: tuple[str, ...], person: str | None, also: tuple[str, ...]) -> Columns:
        """The contract's names for the roles, as far as the columns are there."""
        known = self.names()
        roles = {"truth": "label", "prediction": PREDICTED + "label", "score": PREDICTED + "score"}
        found = {role: name for role, name in roles.items() if name in known} if self.answers is not None else {}
        return Columns(by, person=person, also=also, **found)


@dataclass(frozen=True)
class Files:
    """A table: one CSV, TSV or Parquet file, or a folder of Parquet files."""

    parts: tuple[str, ...]
    subset: Reads
    rows: int

    @classmethod
    def of(cls, url: str, subset: Reads) -> Files:
        """The table at a URL.

        Raises:
            SpecError: if there is none.
        """
        filesystem, path = storage.locate(url)
        if filesystem.get_file_info(path).type != pafs.FileType.Directory:
            return cls((url,), subset, _rows(url))
        found = filesystem.get_file_info(pafs.FileSelector(path, recursive=True))
        names = sorted(f.path[len(path) :].lstrip("/") for f in found if f.path.endswith(".parquet"))
        if not names:
            raise SpecError(f"table: {url} is a folder without Parquet files")
        if subset.sample is not None or subset.limit is not None:
            raise SpecError("sample, limit: a table in several files is audited whole; ingest it to draw from it")
        parts = tuple(storage.join(url, name) for name in names)
        return cls(parts, subset, sum(_rows(part) for part in parts))

    def names(self) -> list[str]:
        if self._streamed(self.parts[0]):
            filesystem, path = storage.locate(self.parts[0])
            return list(pq.read_schema(path, filesystem=filesystem).names)
        return list(chosen(tables.read(self.parts[0]), self.subset, None).column_names)

    def tables(self, part: str, columns: Columns) -> Iterator[pa.Table]:
        if not self._streamed(part):
            whole = chosen(tables.read(part), self.subset, columns.id)
            columns.check(whole.column_names, part)
            yield from pieces(whole.select(columns.needed), ROWS)
            return
        filesystem, path = storage.locate(part)
        with filesystem.open_input_file(path) as stream:
            schema = pq.read_schema(stream)
            columns.check(schema.names, part)
            texts = [name for name in columns.needed if _is_text(schema.field(name).type)]
            shard = pq.ParquetFile(stream, read_dictionary=texts)
            for batch in shard.iter_batches(ROWS, columns=columns.needed, use_threads=False):
                yield pa.Table.from_batches([batch])

    def _streamed(self, part: str) -> bool:
        return part.lower().endswith(".parquet") and not narrowed(self.subset)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _rows(url: str) -> int:
    """The rows of a Parquet file by its footer; of others nothing is known before they are read."""
    if not url.lower().endswith(".parquet"):
        return 0
    filesystem, path = storage.locate(url)
    try:
        with filesystem.open_input_file(path) as stream:
            return int(pq.ParquetFile(stream).metadata.num_rows)
    except FileNotFoundError:
        raise SpecError(f"{url}: no such table") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise SpecError(f"{url} cannot be read: {str(error).splitlines()[0]}") from None
