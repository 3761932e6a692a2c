"""Intervals of scores that are ratios of sums over neurons, or over skeletons or sections.

Voxels are no independent observations, neurons nearly are. A score sum(x) / sum(w) over neurons has the influence
values (x_i - R w_i) / mean(w), whose mean is 0 and whose t interval is that of R; scores made of several such ratios
add their influences up, weighted by the derivatives. With one neuron there is no spread, and the limits are nan.

Reference: Särndal, Swensson & Wretman, "Model Assisted Survey Sampling", 1992, chapter 5 (ratio estimators).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array, Estimate
from vision.intervals import mean_from_sums


@dataclass(frozen=True, eq=False)
class Scored:
    """A score, and what each of the units (K,) adds to its deviation."""

    value: float
    influence: Array

    @classmethod
    def ratio(cls, parts: Array, wholes: Array) -> Scored:
        """sum(parts) / sum(wholes) over units (K,); nan where nothing was seen."""
        whole = float(wholes.sum())
        if not whole:
            return cls(math.nan, np.zeros(len(parts)))
        value = float(parts.sum()) / whole
        return cls(value, (parts - value * wholes) * (len(parts) / whole))

    def plus(self, other: Scored, weight: float = 1.0, other_weight: float = 1.0) -> Scored:
        """A weighted sum of two scores of the same units."""
        value = weight * self.value + other_weight * other.value
        return Scored(value, weight * self.influence + other_weight * other.influence)

    def complement(self) -> Scored:
        """1 - score."""
        return Scored(1 - self.value, -self.influence)

    def root_of_product(self, other: Scored) -> Scored:
        """The geometric mean of two scores; without a spread where one of them is 0."""
        product = self.value * other.value
        if not product > 0:  # none of the two is below 0 but for rounding; nan stays nan
            return Scored(product if math.isnan(product) else 0.0, np.zeros(len(self.influence)))
        value = math.sqrt(product)
        slope = other.influence * self.value + self.influence * other.value
        return Scored(value, slope / (2 * value))

    def estimate(self, highest: float = math.inf) -> Estimate:
        """With 95 % limits, kept within 0..highest."""
        units = len(self.influence)
        low, high = mean_from_sums(units, 0.0, float((self.influence**2).sum()))
        return Estimate(self.value, _clipped(self.value + low, highest), _clipped(self.value + high, highest), units)


def _clipped(value: float, highest: float) -> float:
    return value if math.isnan(value) else min(highest, max(0.0, value))
