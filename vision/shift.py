"""How far answers have moved between two sets of images, when nobody has labelled them: distances of counts.

`prediction_shift`       total variation of the predicted labels: the least share of images that must have changed
                         label, 0..1. Its error holds for any distribution and any n (McDiarmid's inequality).
`prediction_stability`   population stability index of the predicted labels, sum (q - p) ln(q / p), 0 upwards; as a rule
                         of thumb 0.1 is worth a look and 0.25 an alarm. At margin 0 its p is that of a chi-square test.
`score_shift`            Kolmogorov's distance of the scores over 64 bins, 0..1. Its error holds for any distribution
                         and any n (Dvoretzky-Kiefer-Wolfowitz); bins can hide a difference, not make one.

Noise alone moves samples apart, and the more labels the further, so distances are judged with what noise would do
taken off. The states are counts, and merge.

References: McDiarmid, "On the method of bounded differences", 1989; Massart, "The tight constant in the
Dvoretzky-Kiefer-Wolfowitz inequality", 1990; Yurdakul, "Statistical properties of population stability index", 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from vision.accumulator import Array, Batch, Counts, Estimate, weights
from vision.tails import normal_tail

SCORE_BINS = 64
METRICS = {"prediction_shift": "predicted_label", "prediction_stability": "predicted_label"} | {
    "score_shift": "predicted_score"
}
"""The distances, and the column of answers each is taken of."""


@dataclass(frozen=True)
class Shift:
    """Answers of two sets, counted by label or by bin of the score."""

    metric: str
    before: Counts = field(default_factory=Counts)
    after: Counts = field(default_factory=Counts)

    def update(self, batch: Batch) -> Self:
        """With `after` (N,) bool, the set of a row, the metric's column, -1 or nan where missing, and `count`."""
        keys, counts = self._keys(batch), weights(batch)
        sides = []
        for chosen in (~batch["after"], batch["after"]):
            rows = chosen & (keys >= 0)
            sides.append(Counts.of(keys[rows], counts[rows]))
        return self.merge(replace(self, before=sides[0], after=sides[1]))

    def _keys(self, batch: Batch) -> Array:
        values = batch[METRICS[self.metric]]
        if METRICS[self.metric] == "predicted_label":
            return np.asarray(values, np.int64)
        known = np.nan_to_num(np.asarray(values, np.float64), nan=-1.0)
        bins = np.minimum(np.floor(known * SCORE_BINS), SCORE_BINS - 1).astype(np.int64)
        return np.where(known < 0, -1, bins)

    def merge(self, other: Self) -> Self:
        return replace(self, before=self.before.merge(other.before), after=self.after.merge(other.after))

    @cached_property
    def sizes(self) -> tuple[int, int]:
        return self.before.total(), self.after.total()

    @property
    def n(self) -> int:
        return sum(self.sizes)

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]:
        """The distance as `candidate` and as `difference`; the baseline's from itself is 0."""
        distance = self.difference(confidence=confidence)
        return {"baseline": Estimate(0.0, 0.0, 0.0, self.n), "candidate": distance, "difference": distance}

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate:
        if not all(self.sizes):
            return Estimate(math.nan, math.nan, math.nan, self.n)
        value, most = self.distance, math.inf if self.metric == "prediction_stability" else 1.0
        error = (1 - confidence) / 2
        low = _edge(lambda at: self.tail(at, below=False, scale=scale) > error, 0.0, value)
        high = _edge(lambda at: self.tail(at, below=True, scale=scale) <= error, value, most)
        return Estimate(value, low, high, self.n)

    @cached_property
    def distance(self) -> float:
        """The metric itself."""
        p, q = self._shares
        if self.metric == "prediction_shift":
            return float(np.abs(q - p).sum() / 2)
        if self.metric == "score_shift":
            return float(np.abs(np.cumsum(q - p)).max())
        return float(((q - p) * np.log(q / p)).sum())

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        if not all(self.sizes):
            return math.nan
        sizes = self.sizes[0] * scale, self.sizes[1] * scale
        if self.metric == "prediction_stability":
            return self._noncentral(at, below, 1 / sizes[0] + 1 / sizes[1])
        beyond = (at - self.distance) if below else (self.distance - at)
        if self.metric == "prediction_shift":
            beyond -= self._noise / math.sqrt(scale)
            return math.exp(-2 * beyond * beyond / (1 / sizes[0] + 1 / sizes[1])) if beyond > 0 else 1.0
        width = 1 / math.sqrt(sizes[0]) + 1 / math.sqrt(sizes[1])
        return min(1.0, 4 * math.exp(-2 * (beyond / width) ** 2)) if beyond > 0 else 1.0

    @cached_property
    def _noise(self) -> float:
        """How far sampling alone moves the shares apart on average, at most."""
        (p, q), (before, after) = self._shares, self.sizes
        return float(np.sqrt(p * (1 - p) / before + q * (1 - q) / after).sum() / 2)

    def _noncentral(self, at: float, below: bool, noise: float) -> float:
        """The index over `noise` is noncentral chi-square, with a centre that grows with the true index."""
        from scipy.special import chdtrc, chndtr

        freedom, centre, found = len(self._shares[0]) - 1, at / noise, self.distance / noise
        if freedom < 1:
            return 1.0
        if freedom + centre > 10_000:
            deviations = (found - freedom - centre) / math.sqrt(2 * (freedom + 2 * centre))
            return normal_tail(-deviations if below else deviations)
        if centre == 0 and not below:
            return float(chdtrc(freedom, found))
        held = float(chndtr(found, freedom, centre))
        return held if below else max(0.0, 1 - held)

    @cached_property
    def _shares(self) -> tuple[Array, Array]:
        """(K,) shares of what occurs in either; for the index no count is below a half."""
        keys = np.union1d(self.before.keys, self.after.keys)
        least = 0.5 if self.metric == "prediction_stability" else 0.0
        sides = []
        for side in (self.before, self.after):
            counts = np.zeros(len(keys))
            counts[np.searchsorted(keys, side.keys)] = side.counts
            counts = np.maximum(counts, least)
            sides.append(counts / counts.sum())
        return sides[0], sides[1]


def _edge(upper: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition that holds above a point begins to hold, between `low` and `high`, by halving."""
    if upper(low):
        return low
    if math.isinf(high):
        high = max(1e-6, 2 * low)
        while not upper(high):
            high *= 2
    if not upper(high):
        return high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if upper(middle) else (middle, high)
    return high
