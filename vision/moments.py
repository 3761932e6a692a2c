"""A mean with its interval, from sums alone: how many, how much, and how much squared, all exact integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from vision.accumulator import FIXED_BITS, Array, Estimate, fixed_sum, from_fixed, ratio
from vision.intervals import mean_from_sums

LARGEST = 2.0**15
"""Values below this in size can be squared in fixed point; sums of any number of them are exact."""


@dataclass(frozen=True)
class Moments:
    """`n` values, their sum and the sum of their squares, both in units of 2**-32."""

    n: int = 0
    total: int = 0
    squares: int = 0

    def add(self, values: Array, counts: Array) -> Self:
        """With `values` (N,), below 2**15 in size, each counted `counts` (N,) times."""
        values = np.asarray(values, np.float64)
        return type(self)(
            self.n + int(counts.sum()),
            self.total + fixed_sum(values, counts),
            self.squares + fixed_sum(values * values, counts),
        )

    def merge(self, other: Self) -> Self:
        return type(self)(self.n + other.n, self.total + other.total, self.squares + other.squares)

    def estimate(
        self, lowest: float = -np.inf, highest: float = np.inf, scale: float = 1.0, confidence: float = 0.95
    ) -> Estimate:
        """The mean and its t interval, cut to the range that the values can have; see `interval` for `scale`."""
        low, high = self.interval(scale, confidence)
        mean = ratio(self.total, self.n) / (1 << 32)
        return Estimate(mean, float(np.maximum(lowest, low)), float(np.minimum(highest, high)), self.n)

    def interval(self, scale: float = 1.0, confidence: float = 0.95) -> tuple[float, float]:
        """The limits that `scale` times as many rows with the same sums in proportion would have."""
        sums = (self.n * scale, from_fixed(self.total) * scale, from_fixed(self.squares) * scale)
        return mean_from_sums(*sums, confidence)

    def variance(self) -> float:
        """Of one value, with n - 1 below; nan for fewer than two values."""
        if self.n < 2:
            return math.nan
        # In integers first: of values far from 0 the difference of two large floats would be rounding.
        return max(0, self.n * self.squares * (1 << FIXED_BITS) - self.total * self.total) / (
            (self.n * (self.n - 1)) << (2 * FIXED_BITS)
        )
