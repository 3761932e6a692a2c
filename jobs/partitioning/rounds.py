"""The partition of many shards, in rounds: coarse counts from all, finer ones only of what is too full, then sums.

Round one counts every shard at level 10, where the whole Earth has at most 6.3 million cells and 126 million photos
have a few hundred thousand: tables of 16 bytes a cell, added as they come. Cells that hold too many for level 10 are
counted again five levels deeper, from the ids that workers kept, until none is left (level 30 at the latest). The last
round sums positions by final cell.

A driver holds one table and the cells. Small shards are asked about together, some four million photos at a time, and a
worker adds what it finds: a billion photos in 100,000 shards are 250 tasks a round, each with the cells in question (8
bytes each), answered by a table or by three sums a cell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from jobs.partitioning.worker import Answer, Source, Task
from jobs.spec import JobFailed
from vision.accumulator import Array, Counts
from vision.geolocation import s2
from vision.geolocation.cells import Partition, Rule, divide, kept
from vision.geolocation.counts import CellCounts
from vision.summing import Summing

FIRST_LEVEL = 10
DEEPER = 5


class Rounds(Iterator[Task]):
    """What workers are to be asked next; `take` their answers, and when it has run out, `result`.

    Args:
        groups: the shards, those together that one task asks about.
        rule: when cells are cut and dropped.
    """

    def __init__(self, groups: Sequence[tuple[Source, ...]], rule: Rule) -> None:
        self._groups, self._rule = tuple(groups), rule
        self._ready: deque[Task] = deque()
        self._waiting = 0
        self._start: Array = s2.FACES
        self._done: list[tuple[Array, Array]] = []
        self._tables = Summing[CellCounts]()
        self._partition: Partition | None = None
        self._sums = np.empty((0, 3), np.int64)
        self.rejected = Counts()
        self.photos = 0
        self.level: int | None = min(rule.max_level, max(rule.min_level, FIRST_LEVEL))
        self._ask(None)

    def __next__(self) -> Task:
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    @property
    def opening(self) -> bool:
        """Whether it is the first round, in which shards are read."""
        return not self._done and self._partition is None

    def take(self, answer: Answer) -> None:
        """Take an answer of the present round; the last one begins the next."""
        if answer.table is not None:
            self._tables.add(answer.table)
        if answer.sums is not None:
            self._sums = self._sums + answer.sums
        self._waiting -= 1
        if self._waiting == 0 and self.level is not None:
            self._cut(self.level)

    def result(self) -> tuple[Partition, Array]:
        """The cells and (M, 3) int64 sums of their photos' unit vectors.

        Raises:
            JobFailed: if answers are missing.
        """
        if self._waiting or self._partition is None:
            raise JobFailed(f"{self._waiting:,} of {len(self._groups):,} parts of the corpus were not counted")
        return self._partition, self._sums

    def _ask(self, within: Array | None) -> None:
        self._ready.extend(Task(group, self.level, within) for group in self._groups)
        self._waiting = len(self._groups)

    def _cut(self, level: int) -> None:
        """Divide as far as the counts go, and ask for what they do not tell."""
        table = self._tables.total(CellCounts(level))
        self._tables = Summing[CellCounts]()
        if self.opening:
            self.rejected, self.photos = table.rejected, table.counts.total()
        done = divide(table.leaves().count, self._start, self._rule, level)
        self._done.append((done.cells, done.counts))
        if len(done.crowded):
            self._start, self.level = np.sort(done.crowded), min(level + DEEPER, self._rule.max_level)
            self._ask(self._start)
            return
        cells, counts = (np.concatenate(parts) for parts in zip(*self._done, strict=True))
        self._partition, self.level = kept(cells, counts, self._rule), None
        self._sums = np.zeros((len(self._partition.cells), 3), np.int64)
        self._ask(self._partition.cells)
