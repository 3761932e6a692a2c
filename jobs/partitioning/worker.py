"""What a worker does with shards: read their positions once, then answer from the ids that it kept.

A shard is read in runs of rows straight into an array of ids, which is sorted where it lies: a worker holds 8 bytes for
each photo of one shard, and a run. 18 million photos take 0.15 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.engine.selection import Selection, small_columns
from jobs.partitioning import state
from jobs.partitioning.columns import Columns, ids_of
from jobs.partitioning.state import Kept
from jobs.spec import JobFailed
from vision.accumulator import Array, Counts
from vision.geolocation import means
from vision.geolocation.counts import CellCounts, Leaves
from vision.summing import Summing

_ROWS = 1 << 18
_AHEAD = 1 << 21
"""Rows that are in memory as degrees at once, and rows that are fetched at once: 16 bytes each."""


@dataclass(frozen=True)
class Source:
    """A shard and the mark of all that decides its ids."""

    file: str
    fingerprint: str


@dataclass(frozen=True)
class Task:
    """A question about shards; what is found in them is added before it is sent.

    Attributes:
        sources: the shards.
        level: count cells of this level; None: sum positions.
        within: (M,) uint64 cells to look into; None: everywhere.
    """

    sources: tuple[Source, ...]
    level: int | None
    within: Array | None = None

    def __str__(self) -> str:
        more = f" and {len(self.sources) - 1} more" if len(self.sources) > 1 else ""
        return f"{self.sources[0].file}{more}"


@dataclass(frozen=True)
class Answer:
    """A table of counts or (M, 3) sums; how many shards, their photos, and how many had to be read."""

    table: CellCounts | None
    sums: Array | None
    shards: int
    photos: int
    read: int


@dataclass(frozen=True)
class Surveyor:
    """Answers tasks.

    Attributes:
        corpus, state: URLs of the corpus and of the folder of ids.
        columns, selection: where positions stand, and the rows that are read.
    """

    corpus: str
    state: str
    columns: Columns
    selection: Selection

    def make(self) -> Surveyor:
        """The worker, where it lives."""
        return self

    def __call__(self, task: Task) -> Answer:
        """Answer one task.

        Raises:
            SpecError: if a column is not there or holds no numbers.
            JobFailed: if the shard is missing or damaged.
        """
        tables, photos, read = Summing[CellCounts](), 0, 0
        sums = np.zeros((0 if task.within is None else len(task.within), 3), np.int64)
        for source in task.sources:
            kept, was_read = self._kept(source)
            photos, read = photos + len(kept.leaves), read + was_read
            if task.level is not None:
                table = kept.leaves.table(task.level, task.within)
                tables.add(CellCounts(table.level, table.counts, kept.rejected))
            elif task.within is not None:
                sums += means.sums(kept.leaves, task.within)
        if task.level is None:
            return Answer(None, sums, len(task.sources), photos, read)
        return Answer(tables.total(CellCounts(task.level)), None, len(task.sources), photos, read)

    def _kept(self, source: Source) -> tuple[Kept, bool]:
        """A shard's ids, and whether it had to be read for them."""
        url = state.place(self.state, source.file)
        kept = state.load(url, source.fingerprint)
        if kept is not None:
            return kept, False
        kept = self._read(source.file)
        state.save(url, source.fingerprint, kept)
        return kept, True

    def _read(self, file: str) -> Kept:
        filesystem, path = storage.locate(storage.join(self.corpus, file))
        try:
            with filesystem.open_input_file(path) as stream:
                return self._ids(pq.ParquetFile(stream, pre_buffer=True), file)
        except FileNotFoundError:
            raise JobFailed(f"{path} is missing: the corpus is not whole (see `safelight verify`)") from None
        except (pa.ArrowInvalid, OSError) as error:
            raise JobFailed(f"{path} cannot be read: {str(error).splitlines()[0]}") from None

    def _ids(self, shard: pq.ParquetFile, file: str) -> Kept:
        ids, found, rejected = np.empty(shard.metadata.num_rows, np.uint64), 0, Counts()
        for table in self._tables(shard, file):
            self.columns.check(table.column_names, f"{self.corpus}/{file}")
            some, _, wrong = ids_of(table, self.columns)
            ids[found : found + len(some)] = some
            found, rejected = found + len(some), rejected.merge(wrong)
        return Kept(Leaves.of(ids[:found]), rejected)

    def _tables(self, shard: pq.ParquetFile, file: str) -> Iterator[pa.Table]:
        """The rows that are read: only positions where all are, else every small column for the condition."""
        if self.selection != Selection():
            yield self.selection.rows(small_columns(shard), file)
            return
        self.columns.check(shard.schema_arrow.names, f"{self.corpus}/{file}")
        for groups in _spans(shard.metadata):
            # What Arrow fetches ahead stays in memory until all that was asked for is read: so not the whole shard.
            for batch in shard.iter_batches(_ROWS, groups, self.columns.needed, use_threads=False):
                yield pa.Table.from_batches([batch])


def _spans(footer: pq.FileMetaData) -> Iterator[list[int]]:
    """Row groups in runs of some `_AHEAD` rows."""
    run, rows = list[int](), 0
    for group in range(footer.num_row_groups):
        run.append(group)
        rows += footer.row_group(group).num_rows
        if rows >= _AHEAD:
            yield run
            run, rows = [], 0
    if run:
        yield run
