"""Which values of two columns go together: snow with wolves, one camera with one class, a place with a group.

For each pair of values the normalised pointwise mutual information says how strongly, from -1 (never together) over 0
(as chance has it) to 1 (only together), and an exact test whether it is more than chance; Benjamini and Hochberg's rule
is kept over all pairs that were looked at. All of it follows from counts, so it costs no pass of its own.

A pair is looked at where it occurs in at least `least` rows, or would by chance: of fewer the measure says nothing.
Rows are taken to be independent; many of one person or recording make p too small.

Reference: Bouma, "Normalized (pointwise) mutual information in collocation extraction", GSCL 2009; Aka et al.,
"Measuring model biases in the absence of ground truth", AIES 2021.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vision.accumulator import Array, Estimate
from vision.fairness.counts import Cube
from vision.fairness.significance import FEW, benjamini_hochberg
from vision.grouping import MISSING
from vision.intervals import multinomial_bootstrap

LEAST = 10
_MOST = 50_000_000  # pairs of values of two columns, 8 bytes each


@dataclass(frozen=True)
class Pair:
    """Two values: in how many rows they are together (`both`), and each at all, of `n` in which both are known.

    Attributes:
        p, adjusted: of their being together by chance as often, or as seldom; after adjustment.
    """

    columns: tuple[str, str]
    values: tuple[str, str]
    both: int
    first: int
    second: int
    n: int
    p: float
    adjusted: float = math.nan

    @property
    def expected(self) -> float:
        """Rows with both by chance."""
        return self.first * self.second / self.n

    @property
    def npmi(self) -> float:
        return float(_npmi(np.array([[self.both, self.first - self.both, self.second - self.both, self._rest]]))[0])

    @property
    def _rest(self) -> int:
        return self.n - self.first - self.second + self.both

    def estimate(self) -> Estimate:
        """The measure with a bootstrap interval, within -1..1."""
        counts = np.array([self.both, self.first - self.both, self.second - self.both, self._rest])
        low, high = multinomial_bootstrap(counts, _npmi)
        return Estimate(self.npmi, max(-1.0, float(low)), min(1.0, float(high)), self.n)


def pairs(cube: Cube, columns: Sequence[tuple[str, str]], least: int = LEAST) -> list[Pair]:
    """The pairs of values that are looked at, the strongest first; one family, whatever their columns.

    Args:
        cube: counts by at least these columns.
        columns: pairs of columns.
        least: rows that a pair must have, or be expected to have.

    Raises:
        ValueError: if a column was not counted, or two have too many values.
    """
    found = [pair for first, second in columns for pair in _looked_at(cube.over([first, second]), least)]
    adjusted: Array = benjamini_hochberg(np.array([pair.p for pair in found], np.float64))
    made = [replace(one, adjusted=p) for one, p in zip(found, adjusted.tolist(), strict=True)]
    return sorted(made, key=lambda one: (-abs(one.npmi), one.columns, one.values))


def _looked_at(cube: Cube, least: int) -> list[Pair]:
    size = math.prod(len(levels) for levels in cube.levels)
    if size > _MOST:
        raise ValueError(f"columns {' and '.join(cube.columns)} have {size:,} pairs of values, and may have {_MOST:,}")
    table = np.zeros([len(levels) for levels in cube.levels], np.int64)
    table[tuple(cube.codes())] = cube.counts.counts
    known = [np.array([level != MISSING for level in levels], bool) for levels in cube.levels]
    table = table[known[0]][:, known[1]]
    names = [[level for level in levels if level != MISSING] for levels in cube.levels]
    first, second, n = table.sum(axis=1), table.sum(axis=0), int(table.sum())
    if not n:
        return []
    expected = np.outer(first, second) / n
    # A value that every row has goes with all others alike.
    inner = (first < n)[:, None] & (second < n)[None]
    rows, across = np.nonzero(((table >= least) | (expected >= least)) & inner)
    p = _chance(table[rows, across], first[rows], second[across], n)
    column, other = cube.columns
    return [
        Pair((column, other), (names[0][a], names[1][b]), int(table[a, b]), int(first[a]), int(second[b]), n, float(q))
        for a, b, q in zip(rows.tolist(), across.tolist(), p.tolist(), strict=True)
    ]


def _chance(both: Array, first: Array, second: Array, n: int) -> Array:
    """(M,) two-sided p: exact, the smaller tail doubled, where fewer than `FEW` rows are expected; else chi-square."""
    from scipy.special import erfc
    from scipy.stats import hypergeom

    least = np.minimum(first, n - first) * np.minimum(second, n - second).astype(np.float64) / n
    few, p = least < FEW, np.ones(len(both))
    words = both[few], n, first[few], second[few]
    tail = np.minimum(hypergeom.cdf(*words), hypergeom.sf(words[0] - 1, *words[1:]))
    p[few] = np.minimum(1.0, 2 * tail)
    a, f, s = (values[~few].astype(np.float64) for values in (both, first, second))
    p[~few] = erfc(np.abs(a * n - f * s) * np.sqrt(n / (f * (n - f) * s * (n - s)) / 2))
    return p


def _npmi(counts: Array) -> Array:
    """(B,) of (B, 4) rows with both, with the first only, with the second only, and with neither."""
    both, first, second, rest = (counts[:, place].astype(np.float64) for place in range(4))
    n = both + first + second + rest
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(both * n / ((both + first) * (both + second))) / -np.log(both / n)
    found = np.where(both == n, 0.0, found)
    return np.where(both == 0, -1.0, found)
