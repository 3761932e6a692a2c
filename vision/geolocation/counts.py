"""How many photos lie where: sorted leaf ids, and tables of counts by cell that add up.

Two forms of the same fact. `Leaves` is every photo of a shard, 8 bytes each, and answers how many lie in any cell by
two binary searches. `CellCounts` is a table at one level, and merges: the sum of the tables of shards is the table of
their union, whatever the order, so 126 million photos become at most 6.3 million counters at level 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from vision.accumulator import Array, Batch, Counts, weights
from vision.geolocation import s2
from vision.sphere import faults


@dataclass(frozen=True, eq=False)
class Leaves:
    """Photos by place: sorted level-30 ids, and before each how many photos there are (None: one for each id).

    Attributes:
        ids: (N,) uint64, ascending.
        before: (N + 1,) int64 running count, or None.
    """

    ids: Array
    before: Array | None = None

    @classmethod
    def of(cls, ids: Array, counts: Array | None = None) -> Leaves:
        """Sort ids. Without counts that happens in the array given, so that memory stays at 8 bytes a photo.

        Args:
            ids: (N,) uint64 leaf ids.
            counts: (N,) int64, how many photos each stands for.

        Raises:
            ValueError: if a count is negative.
        """
        if counts is None:
            ids.sort()
            return cls(ids)
        if len(counts) and counts.min() < 0:
            raise ValueError(f"counts of photos must not be negative, got {counts.min()}")
        order = np.argsort(ids, kind="stable")
        return cls(ids[order], _before(counts[order]))

    def __len__(self) -> int:
        return len(self.ids) if self.before is None else int(self.before[-1])

    def rows(self, cells: Array) -> tuple[Array, Array]:
        """For each cell where its ids begin and end, (M,) int64 twice."""
        begin = np.searchsorted(self.ids, s2.first(cells))
        return begin, np.searchsorted(self.ids, s2.last(cells), side="right")

    def count(self, cells: Array) -> Array:
        """(M,) int64: how many photos lie in each cell of any level."""
        begin, end = self.rows(cells)
        return end - begin if self.before is None else self.before[end] - self.before[begin]

    def table(self, level: int, within: Array | None = None) -> CellCounts:
        """The counts at one level: of all, or only inside some cells.

        Args:
            within: (M,) uint64 cells, disjoint, ascending and not finer than `level`.
        """
        if within is None:
            return _runs(self.ids, self.before, level)
        if not len(within):
            return CellCounts(level)
        parts = [_runs(*run, level).counts for run in self._inside(within)]
        return CellCounts(level, Counts(*(_joined([getattr(part, name) for part in parts]) for name in _FIELDS)))

    def _inside(self, cells: Array) -> Iterator[tuple[Array, Array | None]]:
        """The photos of cells in ascending order, some `_GATHERED` at a time: ids, and their running count."""
        begin, end = self.rows(cells)
        gathered = np.cumsum(end - begin) // _GATHERED
        for run in np.split(np.arange(len(cells)), np.flatnonzero(np.diff(gathered)) + 1):
            edges = list(zip(begin[run].tolist(), end[run].tolist(), strict=True))
            ids = np.concatenate([self.ids[a:b] for a, b in edges])
            if self.before is None:
                yield ids, None
                continue
            yield ids, _before(np.concatenate([np.diff(self.before[a : b + 1]) for a, b in edges]))


_FIELDS = ("keys", "counts")
_GATHERED = 1 << 22


def _runs(ids: Array, before: Array | None, level: int) -> CellCounts:
    """Counts of sorted ids, each cell's from where it begins to where the next does."""
    starts = _starts(ids, level)
    edges = np.append(starts, len(ids))
    counts = np.diff(edges) if before is None else before[edges[1:]] - before[edges[:-1]]
    cells = s2.parent(ids[starts], level)
    kept = counts > 0
    return CellCounts(level, Counts((cells[kept] >> 1).view(np.int64), counts[kept].astype(np.int64)))


_WINDOW = 1 << 16


def _starts(ids: Array, level: int) -> Array:
    """Where in sorted ids each cell of a level begins."""
    if not len(ids):
        return np.empty(0, np.int64)
    shift = np.uint64(2 * (s2.MAX_LEVEL - level) + 1)
    found = [np.zeros(1, np.int64)]
    for start in range(1, len(ids), _WINDOW):
        prefixes = ids[start - 1 : start + _WINDOW] >> shift  # one more, to compare the first with
        found.append(np.flatnonzero(prefixes[1:] != prefixes[:-1]) + start)
    return np.concatenate(found)


def _before(counts: Array) -> Array:
    """(N + 1,) int64 running sums that begin with 0."""
    running = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=running[1:])
    return running


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


@dataclass(frozen=True)
class CellCounts:
    """Photos by cell of one level, and rejected positions by reason: a state that sums over shards.

    Keys are ids without their last bit, which is nothing to any cell above level 30 and 1 in every leaf: as signed
    numbers they sort as the ids do.
    """

    level: int = 10
    counts: Counts = field(default_factory=Counts)
    rejected: Counts = field(default_factory=Counts)

    def update(self, batch: Batch) -> Self:
        """Add photos: columns `latitude`, `longitude` (float64 degrees) and, if there, `count`."""
        latitude, longitude, count = batch["latitude"], batch["longitude"], weights(batch)
        reason = faults(latitude, longitude)
        good = reason == 0
        cells = s2.ids(latitude[good], longitude[good], self.level)
        counts = Counts.of((cells >> 1).view(np.int64), count[good])
        rejected = Counts.of(reason[~good].astype(np.int64), count[~good])
        return replace(self, counts=self.counts.merge(counts), rejected=self.rejected.merge(rejected))

    def merge(self, other: Self) -> Self:
        """The table of both.

        Raises:
            ValueError: if they are of two levels.
        """
        if self.level != other.level:
            raise ValueError(f"counts at level {self.level} and level {other.level} do not add")
        return replace(self, counts=self.counts.merge(other.counts), rejected=self.rejected.merge(other.rejected))

    @property
    def cells(self) -> Array:
        """(M,) uint64 cells that hold photos, ascending; of the level, the ids with their last bit again."""
        return self.counts.keys.view(np.uint64) << 1 | np.uint64(self.level == s2.MAX_LEVEL)

    def leaves(self) -> Leaves:
        """The same for `count` and `divide`, which holds for cells not finer than the level."""
        return Leaves(self.cells, _before(self.counts.counts))
