"""PlaNet's adaptive partition: small cells where photos are many, large ones where they are few.

Start from the coarsest cells, cut every cell with more than `t_max` photos into four, again and again, and drop those
that end with too few; nobody can learn a place from a handful of photos. The result depends on counts alone, and
counts add, so shards may be counted apart and in any order.

Departures from the paper: PlaNet starts at the six faces and drops cells with fewer than t_2 photos; GeoEstimation
starts at level 2 and drops those with no more than `t_min`. Both are here (`min_level`, `drop`). Where photos on one
exact position outnumber t_max, a level-30 cell stays above it, as in the published tables.

100 million ids: 1.4 s to sort, 0.1 s to cut into 26,000 cells.

Reference: Weyand, Kostrikov & Philbin, "PlaNet - Photo Geolocation with Convolutional Neural Networks", ECCV 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.counts import Leaves

Drop = Literal["below", "at-most"]


@dataclass(frozen=True)
class Rule:
    """When cells are cut and dropped.

    Attributes:
        t_max: a cell with more photos is cut, down to `max_level`.
        t_min: what few photos are.
        min_level: no cell is larger: coarser ones are cut whatever they hold.
        max_level: no cell is smaller.
        drop: drop cells with a count below `t_min` (PlaNet), or at most `t_min` (GeoEstimation).
    """

    t_max: int = 10_000
    t_min: int = 50
    min_level: int = 0
    max_level: int = s2.MAX_LEVEL
    drop: Drop = "below"

    def __post_init__(self) -> None:
        if not 0 <= self.min_level <= self.max_level <= s2.MAX_LEVEL:
            raise ValueError(
                f"levels must be 0 <= min_level <= max_level <= {s2.MAX_LEVEL}, got {self.min_level} and "
                f"{self.max_level}"
            )
        if not 0 <= self.t_min <= self.t_max or self.t_max < 1:
            raise ValueError(f"counts must be 0 <= t_min <= t_max and t_max at least 1, got {self.t_min}, {self.t_max}")

    def keeps(self, counts: Array) -> Array:
        """(M,) bool: which cells have photos enough."""
        return counts >= self.t_min if self.drop == "below" else counts > self.t_min


class Divided(NamedTuple):
    """Cells that are done, with their counts, and cells that must be cut further than was counted."""

    cells: Array
    counts: Array
    crowded: Array


class Partition(NamedTuple):
    """The cells of a partition: (M,) uint64 ids, ascending, and (M,) int64 photos in each."""

    cells: Array
    counts: Array


def divide(count: Callable[[Array], Array], start: Array, rule: Rule, to_level: int) -> Divided:
    """Cut cells as far as counts are known.

    Args:
        count: (M,) cells to (M,) int64 photos; right for cells of levels up to `to_level`.
        start: (M,) uint64 cells of one level, such as the six faces.
        to_level: the finest level that `count` knows.

    Returns:
        cells that hold any photo and need no cutting, those with too few among them; and the cells of `to_level`
        that are too full for it.
    """
    done: list[tuple[Array, Array]] = []
    cells, level = start, int(s2.level(start[:1])[0]) if len(start) else to_level
    while True:
        counts = count(cells)
        cells, counts = cells[counts > 0], counts[counts > 0]
        cut = np.full(len(cells), level < rule.min_level) | ((counts > rule.t_max) & (level < rule.max_level))
        done.append((cells[~cut], counts[~cut]))
        if level == to_level or not cut.any():
            ended, photos = (np.concatenate(parts) for parts in zip(*done, strict=True))
            return Divided(ended, photos, cells[cut])
        cells, level = s2.children(cells[cut]).reshape(-1), level + 1


def kept(cells: Array, counts: Array, rule: Rule) -> Partition:
    """The cells with photos enough, in the order of their ids."""
    enough = rule.keeps(counts)
    cells, counts = cells[enough], counts[enough]
    order = np.argsort(cells)
    return Partition(cells[order], counts[order])


def partition(leaves: Leaves, rule: Rule) -> Partition:
    """The adaptive partition of photos whose ids are all here.

    Args:
        leaves: every photo.

    >>> paris = s2.ids(np.full(30, 48.85), np.linspace(2.2, 2.4, 30))
    >>> found = partition(Leaves.of(paris), Rule(t_max=20, t_min=5))
    >>> s2.tokens(found.cells).tolist(), found.counts.tolist()
    (['47e674', '47e67c'], [18, 12])
    """
    divided = divide(leaves.count, s2.FACES, rule, rule.max_level)
    return kept(divided.cells, divided.counts, rule)


def locate(cells: Array, ids: Array) -> Array:
    """Which cell each photo is in, for photos that the partition never saw too.

    Args:
        cells: (M,) uint64, disjoint and ascending.
        ids: (N,) uint64 leaf ids.

    Returns:
        (N,) int64 rows of `cells`, -1 for a photo in no cell: training may drop those, evaluation must not.
    """
    if not len(cells):
        return np.full(len(ids), -1, np.int64)
    rows = np.searchsorted(s2.first(cells), ids, side="right") - 1
    return np.where((rows >= 0) & (ids <= s2.last(cells)[rows]), rows, -1)


def check_disjoint(cells: Array) -> None:
    """Refuse cells of which one holds another.

    Args:
        cells: (M,) uint64, ascending.

    Raises:
        ValueError: naming the first two.
    """
    over = np.flatnonzero(s2.last(cells[:-1]) >= s2.first(cells[1:]))
    if len(over):
        a, b = s2.tokens(cells[over[0] : over[0] + 2]).tolist()
        raise ValueError(f"cells {a} and {b} overlap: a partition has every place at most once")
