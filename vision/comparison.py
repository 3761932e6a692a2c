"""Is the candidate as good as the baseline? Differences with intervals, an exact test, and a verdict against a margin.

Two models on the same images are compared image by image: most answers agree, and only those that differ say
anything, which takes a fraction of the images that two separate samples need. Differences are candidate minus baseline.

A verdict is one of non-inferiority. With a margin of 0.005 the candidate passes when the whole interval lies above
-0.005, fails when it lies below, and is undecided between: then `needed` says how many more images, at the rates seen
so far, would decide. The interval has 95 %, so that a candidate exactly at the margin passes in 1 night of 40.
Where many groups are judged on many nights, failing asks for more: `level` is the p that it takes (vision/evidence.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

import numpy as np

from vision.accumulator import Batch, Estimate, ratio, weights
from vision.intervals import rate, square_and_add, tango, z
from vision.moments import Moments
from vision.tails import deviation_tail, lost_tail, sign_p

Verdict = Literal["pass", "fail", "undecided"]
MOST_NEEDED = 10**12


class Comparison(Protocol):
    """A difference between two models, or what it would be with `scale` times as many images of the same kind."""

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate: ...

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        """One-sided p: the chance of a difference this low (`below`) or this high, if in truth it were `at`."""
        ...


@dataclass(frozen=True)
class Paired:
    """Right and wrong answers of two models to the same images, in four counts.

    The difference of the rates has Tango's score interval. Wald's, se = sqrt(n10 + n01 - (n01 - n10)^2 / n) / n, is
    the same where pairs disagree often, but has no width where none does, and would pass on ten images.
    """

    both_right: int = 0
    only_baseline: int = 0
    only_candidate: int = 0
    neither: int = 0

    def update(self, batch: Batch) -> Self:
        """With the columns `baseline_right` and `candidate_right` (N,) bool, and `count`."""
        cells = 2 * batch["baseline_right"].astype(np.int64) + batch["candidate_right"].astype(np.int64)
        counts = weights(batch)
        neither, candidate, baseline, both = (int(counts[cells == cell].sum()) for cell in range(4))
        return self.merge(type(self)(both, baseline, candidate, neither))

    def merge(self, other: Self) -> Self:
        return type(self)(
            self.both_right + other.both_right,
            self.only_baseline + other.only_baseline,
            self.only_candidate + other.only_candidate,
            self.neither + other.neither,
        )

    @property
    def n(self) -> int:
        return self.both_right + self.only_baseline + self.only_candidate + self.neither

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]:
        return {
            "baseline": rate(self.both_right + self.only_baseline, self.n, confidence),
            "candidate": rate(self.both_right + self.only_candidate, self.n, confidence),
            "difference": self.difference(confidence=confidence),
        }

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate:
        gained, lost = self.only_candidate, self.only_baseline
        limits = tango(gained * scale, lost * scale, self.n * scale, confidence)
        return Estimate(ratio(gained - lost, self.n), *limits, self.n)

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        gained, lost = self.only_candidate * scale, self.only_baseline * scale
        n = self.n * scale
        return lost_tail(lost, gained, n, -at) if below else lost_tail(gained, lost, n, at)

    def mcnemar_p(self) -> float:
        """Exact two-sided p of McNemar's test, that a disagreement favours either model alike; nan without images.

        Reference: McNemar, "Note on the sampling error of the difference between correlated proportions", 1947.
        """
        return sign_p(self.only_baseline, self.only_candidate) if self.n else math.nan


@dataclass(frozen=True)
class PairedMean:
    """A mean over images, of two models on the same ones: cross entropy, Brier score, a distance.

    The differences are summed image by image in fixed point, and have the t interval of their mean.
    """

    baseline: Moments = field(default_factory=Moments)
    candidate: Moments = field(default_factory=Moments)
    differences: Moments = field(default_factory=Moments)

    def update(self, batch: Batch) -> Self:
        """With `baseline_value` and `candidate_value` (N,) finite, below 2**14 in size, and `count`."""
        baseline, candidate = batch["baseline_value"], batch["candidate_value"]
        counts = weights(batch)
        return type(self)(
            self.baseline.add(baseline, counts),
            self.candidate.add(candidate, counts),
            self.differences.add(candidate - baseline, counts),
        )

    def merge(self, other: Self) -> Self:
        return type(self)(
            self.baseline.merge(other.baseline),
            self.candidate.merge(other.candidate),
            self.differences.merge(other.differences),
        )

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]:
        return {
            "baseline": self.baseline.estimate(confidence=confidence),
            "candidate": self.candidate.estimate(confidence=confidence),
            "difference": self.difference(confidence=confidence),
        }

    @property
    def n(self) -> int:
        return self.differences.n

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate:
        return self.differences.estimate(scale=scale, confidence=confidence)

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        n = self.n * scale
        error = math.sqrt(self.differences.variance() / n) if self.n > 1 else math.nan
        return deviation_tail(self.differences.estimate().value - at, error, below=below, freedom=n - 1)


@dataclass(frozen=True)
class Unpaired:
    """Two estimates on different images, of any metric: all it takes is their values and limits.

    For rates with Wilson limits the interval of the difference is Newcombe's; for others the same rule
    combines the limits they have. More images shrink these by the square root.
    """

    baseline: Estimate
    candidate: Estimate

    @property
    def n(self) -> int:
        return self.baseline.n + self.candidate.n

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]:
        difference = self.difference(confidence=confidence)
        return {"baseline": self.baseline, "candidate": self.candidate, "difference": difference}

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate:
        """The estimates hold limits of 95 %; for another confidence these are stretched as a normal's would be."""
        value = self.candidate.value - self.baseline.value
        low, high = square_and_add(self.candidate, self.baseline)
        shrink = z(confidence) / z() / math.sqrt(scale)
        limits = (value - (value - low) * shrink, value + (high - value) * shrink)
        return Estimate(value, *limits, self.baseline.n + self.candidate.n)

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        now = self.difference(scale)
        error = (now.high - now.value if below else now.value - now.low) / z()
        return deviation_tail(now.value - at, error, below=below)


def worse(comparison: Comparison, margin: float, higher_is_better: bool = True, scale: float = 1.0) -> float:
    """One-sided p of the loss being within `margin`: small where the candidate is shown to be worse."""
    return comparison.tail(-margin if higher_is_better else margin, below=higher_is_better, scale=scale)


def within(comparison: Comparison, margin: float, higher_is_better: bool = True, scale: float = 1.0) -> float:
    """One-sided p of the loss being `margin` or more: small where the candidate is shown to be good enough."""
    return comparison.tail(-margin if higher_is_better else margin, below=not higher_is_better, scale=scale)


def judged(
    comparison: Comparison,
    margin: float,
    higher_is_better: bool = True,
    *,
    confidence: float = 0.95,
    level: float = 1.0,
    scale: float = 1.0,
) -> Verdict:
    """The verdict of an interval at `confidence`, where failing takes a p of `worse` at or below `level` as well.

    Raises:
        ValueError: if the margin is negative or no number.
    """
    found = verdict(comparison.difference(scale, confidence), margin, higher_is_better)
    if found == "fail" and worse(comparison, margin, higher_is_better, scale) > level:
        return "undecided"
    return found


def verdict(difference: Estimate, margin: float, higher_is_better: bool = True) -> Verdict:
    """Whether a candidate is worse by less than `margin` (pass), by more (fail), or neither is shown.

    Args:
        difference: candidate minus baseline.
        margin: the loss that would be accepted, in the metric's units; 0 asks for an improvement.
        higher_is_better: false for losses, errors and distances.

    Raises:
        ValueError: if the margin is negative or no number.
    """
    if not (margin >= 0 and math.isfinite(margin)):
        raise ValueError(f"margin must be 0 or more, got {margin}")
    low, high = (difference.low, difference.high) if higher_is_better else (-difference.high, -difference.low)
    if low > -margin:
        return "pass"
    return "fail" if high < -margin else "undecided"


def needed(
    comparison: Comparison,
    margin: float,
    higher_is_better: bool = True,
    *,
    confidence: float = 0.95,
    level: float = 1.0,
) -> int | None:
    """How many more images would decide, if they came out like those seen so far; the arguments are those of `judged`.

    Returns:
        0 if it is decided; None if there is nothing to go by, or 10**12 would not do: the difference is at the margin.
    """
    now = comparison.difference()
    if math.isnan(now.low):
        return None

    def decided(more: int) -> bool:
        scale = 1 + more / now.n
        found = judged(comparison, margin, higher_is_better, confidence=confidence, level=level, scale=scale)
        return found != "undecided"

    return 0 if decided(0) else _first(decided)


def _first(decided: Callable[[int], bool]) -> int | None:
    """The smallest number for which `decided` holds, given that it then holds for all above."""
    high = 1
    while not decided(high):
        high *= 2
        if high > MOST_NEEDED:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return high
