"""Numbers by group, as counts in fine bins: quantiles of each group, and how far its numbers lie from the others'.

Bins are those of `vision.quantiles` with 7 bits, so a quantile is exact to 0.4 %. The distance of a group from the rest
is Kolmogorov and Smirnov's: the largest difference between the shares that lie below some value, 0 where both are
spread alike and 1 where they do not overlap. With ties in bins its p errs on the safe side.

Reference: Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of Mathematical
Statistics 1948.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array, Cell, Estimate
from vision.fairness.coding import Coded
from vision.fairness.counts import Cube
from vision.grouping import MISSING
from vision.quantiles import keys, median_rank, middles

BITS = 7
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
PROPERTY, BIN = "property", "bin"


@dataclass(frozen=True)
class Spread:
    """One property in one group.

    Attributes:
        quantiles: at `SHARES`.
        median: the middle one, with limits that are order statistics too.
        rest_median: of all other rows that have a group; nan where there are none.
        distance, p: from these, 0..1, and how likely one so large is by chance.
    """

    name: str
    cell: Cell
    n: int
    quantiles: tuple[float, ...]
    median: Estimate
    rest_median: float = math.nan
    distance: float = math.nan
    p: float = math.nan


def counted(values: Array) -> Coded:
    """(N,) numbers of 0 or more as the codes of their bins."""
    bins, codes = np.unique(keys(values, BITS), return_inverse=True)
    return Coded(codes, [f"{one:06d}" for one in bins.tolist()])


def whole(cube: Cube) -> list[Spread]:
    """Each property over all rows, of a cube by (..., property, bin)."""
    return [_spread(name, (), row, bins) for name, bins, _, table in _tables(cube, ()) for row in table]


def by_group(cube: Cube, columns: Sequence[str]) -> list[Spread]:
    """Each property in every known group of some columns, beside the rest."""
    found = []
    for name, bins, cells, table in _tables(cube, columns):
        total = table.sum(axis=0)
        found += [_beside(name, cell, row, total - row, bins) for cell, row in zip(cells, table, strict=True)]
    return found


def _tables(cube: Cube, columns: Sequence[str]) -> list[tuple[str, Array, list[Cell], Array]]:
    """For each property its values (B,), and (G, B) counts of each group."""
    part = cube.over([PROPERTY, *columns, BIN])
    codes, counts, found = part.codes(), part.counts.counts, []
    texts = [np.array([*levels, None], object)[code] for levels, code in zip(part.levels, codes, strict=True)]
    known = ~np.any([side == MISSING for side in texts], axis=0) if len(counts) else np.zeros(0, bool)
    for name in part.levels[0]:
        mine = known & (texts[0] == name)
        cells = [tuple(zip(columns, row, strict=True)) for row in zip(*(t[mine] for t in texts[1:-1]), strict=True)]
        cells = cells if columns else [()] * int(mine.sum())
        groups = sorted(set(cells))
        place = {cell: index for index, cell in enumerate(groups)}
        bins, column = np.unique(texts[-1][mine].astype(np.int64), return_inverse=True)
        table = np.zeros((len(groups), len(bins)), np.int64)
        np.add.at(table, (np.array([place[cell] for cell in cells], np.int64), column), counts[mine])
        found.append((name, middles(bins, BITS), groups, table))
    return found


def _beside(name: str, cell: Cell, row: Array, rest: Array, values: Array) -> Spread:
    n, m = int(row.sum()), int(rest.sum())
    if not n or not m:
        return _spread(name, cell, row, values)
    distance = float(np.abs(np.cumsum(row) / n - np.cumsum(rest) / m).max())
    from scipy.special import kolmogorov

    p = float(kolmogorov(math.sqrt(n * m / (n + m)) * distance))
    others = _quantiles(rest, values)[2]
    return Spread(name, cell, n, _quantiles(row, values), _median(row, values), others, distance, p)


def _spread(name: str, cell: Cell, row: Array, values: Array) -> Spread:
    return Spread(name, cell, int(row.sum()), _quantiles(row, values), _median(row, values))


def _quantiles(row: Array, values: Array) -> tuple[float, ...]:
    """The number below which each share lies: the first whose cumulated share reaches it."""
    total = int(row.sum())
    if not total:
        return (math.nan,) * len(SHARES)
    ranks = [max(1, math.ceil(share * total)) for share in SHARES]
    return tuple(float(value) for value in values[np.searchsorted(np.cumsum(row), ranks)])


def _median(row: Array, values: Array) -> Estimate:
    """The middle number and its limits; of five numbers or fewer no limit can be told."""
    n = int(row.sum())
    value = _quantiles(row, values)[2]
    rank = median_rank(n, 0.025) if n else 0
    if rank < 1:
        return Estimate(value, math.nan, math.nan, n)
    low, high = values[np.searchsorted(np.cumsum(row), [rank, n + 1 - rank])].tolist()
    return Estimate(value, min(value, low), max(value, high), n)
