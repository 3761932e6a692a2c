"""Why one model's score differs on two sets of images: other images, or worse answers to images like before.

Both sets are counted by group. With shares w and group means r, the change of the overall mean is, to the last digit,

    sum (w1 - w0) (r0 + r1) / 2      change of mix: there are more, or fewer, hard images
  + sum (r1 - r0) (w0 + w1) / 2      change within groups: images of a group are answered worse than before

Means of a group that only one set has are taken from that set: its coming or going is a change of mix. What varies
inside the groups that were asked for counts as within, so finer groups move change from within to mix.

Errors are those of independent samples by the delta method: multinomial for the shares, binomial (with one right and
one wrong answer added, as Agresti & Caffo do, so that a group with all answers right has an error too) or sample
variances for the means. A normal curve on them asks for some hundred images a set.

References: Kitagawa, "Components of a difference between two rates", JASA 1955; Das Gupta 1993; Agresti & Caffo,
"Simple and effective confidence intervals for proportions", The American Statistician 2000.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from vision.accumulator import Array, Batch, Cell, Estimate, from_fixed, united, weights
from vision.grouping import rows_by_values
from vision.intervals import wilson, z
from vision.moments import Moments
from vision.tails import deviation_tail


@dataclass(frozen=True)
class Grouped:
    """Values of one set by group, as exact sums.

    Attributes:
        by: columns whose combinations are the groups.
        rate: whether values are 0 and 1.
    """

    by: tuple[str, ...]
    rate: bool
    cells: Mapping[Cell, Moments] = field(default_factory=dict)

    def update(self, batch: Batch) -> Self:
        """With `value` (N,) finite, below 2**15 in size, the columns of `by`, and `count`."""
        cells, counts = dict(self.cells), weights(batch)
        for cell, rows in rows_by_values(batch, self.by):
            cells[cell] = cells.get(cell, Moments()).add(batch["value"][rows], counts[rows])
        return replace(self, cells=cells)

    def merge(self, other: Self) -> Self:
        return replace(self, cells=united(self.cells, other.cells))

    def whole(self) -> Moments:
        """All groups together."""
        total = Moments()
        for moments in self.cells.values():
            total = total.merge(moments)
        return total


@dataclass(frozen=True)
class Change:
    """A part of the change between two sets, or all of it, with its standard error.

    Attributes:
        before, after: what was seen of the two sets.
        value: this part of the change; the whole change has `after` minus `before`.
    """

    before: Moments
    after: Moments
    value: float
    error: float
    rate: bool

    @property
    def n(self) -> int:
        return self.before.n + self.after.n

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]:
        names = (("baseline", self.before), ("candidate", self.after))
        estimates = {name: _estimate(moments, self.rate, confidence) for name, moments in names}
        return {**estimates, "difference": self.difference(confidence=confidence)}

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate:
        half = z(confidence) * self.error / math.sqrt(scale)
        return Estimate(self.value, self.value - half, self.value + half, self.n)

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        return deviation_tail(self.value - at, self.error / math.sqrt(scale), below=below)


def _estimate(moments: Moments, rate: bool, confidence: float) -> Estimate:
    found = moments.estimate(confidence=confidence)
    if not rate:
        return found
    return Estimate(found.value, *wilson(min(from_fixed(moments.total), moments.n), moments.n, confidence), moments.n)


def whole_change(before: Moments, after: Moments, rate: bool) -> Change:
    """The change of a mean between two sets, or two parts of them."""
    first, second = before.estimate().value, after.estimate().value
    error = math.sqrt(_variance(before, rate) / max(1, before.n) + _variance(after, rate) / max(1, after.n))
    return Change(before, after, second - first, error, rate)


def decompose(before: Grouped, after: Grouped) -> dict[str, Change]:
    """The change of mix (`mix`) and the change within groups (`within`), which add up to the whole.

    Raises:
        ValueError: if a set is empty, or they were grouped by other columns.
    """
    if before.by != after.by or before.rate != after.rate:
        raise ValueError(f"both sets must be grouped alike, got {before.by} and {after.by}")
    whole = before.whole(), after.whole()
    if not (whole[0].n and whole[1].n):
        raise ValueError(f"both sets must hold images, got {whole[0].n} and {whole[1].n}")
    cells = sorted({*before.cells, *after.cells})
    first, second = (_Set.of(side, cells, all_) for side, all_ in zip((before, after), whole, strict=True))
    r0, r1 = np.where(first.n, first.mean, second.mean), np.where(second.n, second.mean, first.mean)
    shift, weight, middle, gap = second.share - first.share, (first.share + second.share) / 2, (r0 + r1) / 2, r1 - r0
    both = (first.n > 0) & (second.n > 0)
    half = np.where(both, 0.5, 1.0)  # how far a group's mean moves the middle: alone, all the way
    within = np.where(both, weight, 0.0)
    errors = {
        "mix": math.sqrt(first.spread(middle, shift * half) + second.spread(middle, shift * half)),
        "within": math.sqrt(first.spread(gap / 2, within) + second.spread(gap / 2, within)),
    }
    values = {"mix": float((shift * middle).sum()), "within": float((weight * gap).sum())}
    return {name: Change(*whole, value, errors[name], before.rate) for name, value in values.items()}


@dataclass(frozen=True, eq=False)
class _Set:
    """One set by group: images, mean and variance of a value (G,), and each group's share."""

    n: Array
    mean: Array
    variance: Array
    share: Array

    @classmethod
    def of(cls, side: Grouped, cells: list[Cell], whole: Moments) -> _Set:
        parts = [side.cells.get(cell, Moments()) for cell in cells]
        n = np.array([part.n for part in parts], np.float64)
        mean = np.array([from_fixed(part.total) / max(1, part.n) for part in parts])
        fallback = _variance(whole, side.rate)
        variance = np.array([v if math.isfinite(v := _variance(part, side.rate)) else fallback for part in parts])
        return cls(n, mean, variance, n / n.sum())

    def spread(self, by_share: Array, by_mean: Array) -> float:
        """Variance of a sum with these derivatives by the group's share and by its mean."""
        centre = float((self.share * by_share).sum())
        shares = max(0.0, float((self.share * by_share**2).sum()) - centre * centre) / self.n.sum()
        means = np.divide(self.variance, self.n, out=np.zeros_like(self.n), where=self.n > 0)
        return float(shares + (by_mean**2 * means).sum())


def _variance(moments: Moments, rate: bool) -> float:
    """Of one value; of a rate with one right and one wrong answer added."""
    if not rate:
        return moments.variance()
    p = (from_fixed(moments.total) + 1) / (moments.n + 2)
    return p * (1 - p)
