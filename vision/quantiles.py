"""Medians that merge: sizes counted in bins so fine that an order statistic is exact to eight in a million.

A bin is the first 16 bits behind the leading one of a number's binary form, so bins are narrow where numbers are small:
7 mm at a kilometre, 8 m at 1,000 km. The limits of a median are order statistics too, by the binomial distribution of
how many numbers lie below it; no shape is assumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from vision.accumulator import Array, Counts

BITS = 16
_SHIFT = 52 - BITS
_LEAST = 2.0**-32
"""Smaller numbers are zero: what counts in kilometres is a micrometre."""


def keys(values: Array, bits: int = BITS) -> Array:
    """The bin of each number, in the order of the numbers; infinity has the last.

    Args:
        values: (N,) numbers of 0 or more, or infinite.
        bits: how many behind the leading one tell bins apart.

    Returns:
        (N,) int64.

    Raises:
        ValueError: if one is negative or nan.
    """
    values = np.ascontiguousarray(values, np.float64)
    wrong = ~(values >= 0)
    if wrong.any():
        raise ValueError(f"sizes must be 0 or more, got {values[wrong][0]}")
    return np.where(values < _LEAST, 0.0, values).view(np.int64) >> (52 - bits)


def middles(bins: Array, bits: int = BITS) -> Array:
    """(M,) float64: the number in the middle of each bin (M,) int64; exactly 0 and infinity of theirs."""
    shift = 52 - bits
    low = bins << shift
    inside = (bins > 0) & np.isfinite(low.view(np.float64))
    return np.where(inside, low | (1 << (shift - 1)), low).view(np.float64)


@dataclass(frozen=True)
class Sizes:
    """Numbers of 0 or more as counts by bin. A million different ones take 16 MB, and no number of them over 50 MB."""

    counts: Counts = field(default_factory=Counts)

    def add(self, values: Array, counts: Array) -> Self:
        """With `values` (N,), infinite ones too, each counted `counts` (N,) times."""
        return type(self)(self.counts.merge(Counts.of(keys(values), counts)))

    def merge(self, other: Self) -> Self:
        return type(self)(self.counts.merge(other.counts))

    @property
    def n(self) -> int:
        return self.counts.total()

    def median(self) -> float:
        """The middle number, or the mean of the two in the middle; nan of none."""
        if not self.n:
            return math.nan
        low, high = self._at([(self.n - 1) // 2, self.n // 2])
        return low if low == high else (low + high) / 2

    def interval(self, highest: float, confidence: float = 0.95) -> tuple[float, float]:
        """Limits that hold the median of whatever the numbers were drawn from, in at least `confidence` of samples.

        Args:
            highest: a limit that no number passes. Of five numbers or fewer nothing else can be said with 95 %.

        Reference: David & Nagaraja, "Order Statistics", 2003, section 7.1.
        """
        n = self.n
        if not n:
            return math.nan, math.nan
        rank = median_rank(n, (1 - confidence) / 2)
        if rank < 1:
            return 0.0, max(highest, self.median())
        low, high = self._at([rank - 1, n - rank])
        return low, high

    def _at(self, ranks: list[int]) -> list[float]:
        """The numbers at places 0..n-1 of their order."""
        bins = np.searchsorted(np.cumsum(self.counts.counts), ranks, side="right")
        return [float(value) for value in middles(self.counts.keys[bins])]


def median_rank(n: int, tail: float) -> int:
    """The largest r for which fewer than r of n numbers lie below their median with a chance of at most `tail`."""
    from scipy.special import bdtr, bdtrik

    found = bdtrik(tail, n, 0.5)
    rank = 0 if math.isnan(found) else max(0, math.floor(found) + 1)
    while rank > 0 and bdtr(rank - 1, n, 0.5) > tail:
        rank -= 1
    return rank
