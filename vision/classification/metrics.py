"""How good a classifier's answers are: frozen states of integers that merge exactly, with an interval each.

`answers` says what a batch holds and which rows count: those with a truth and an answer, `n` of them. Only `top1_all`
also counts images that could not be answered, as wrong. A million rows of 1,000 classes take the whole suite 0.5 s.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from vision.accumulator import Accumulator, Array, Batch, Estimate, Suite, weights
from vision.classification.answers import counted, measured
from vision.classification.calibration import Calibration
from vision.classification.confusion import Confusion
from vision.intervals import rate
from vision.moments import LARGEST, Moments

_ROUNDING = 1e-4  # how far above 0 a logarithm in float32 may end


@dataclass(frozen=True)
class TopK:
    """Share of answers whose truth is among the `k` best labels (`top1`, `top5`).

    With k = 1 also `top1_all`, over the images without an answer too, which are wrong.
    """

    k: int = 1
    hits: int = 0
    seen: int = 0
    unanswered: int = 0
    missing: int = 0

    def update(self, batch: Batch) -> Self:
        counts, rows = weights(batch), counted(batch)
        known, hit = rows, batch["label"] == batch["predicted_label"]
        if self.k > 1:
            top = batch.get("predicted_top_labels", np.empty((len(rows), 0), np.int64))[:, : self.k]
            hit = (top == batch["label"][:, None]).any(axis=1)
            known = rows & (top[:, 0] >= 0) if top.shape[1] == self.k else np.zeros_like(rows)
        return replace(
            self,
            hits=self.hits + int(counts[known & hit].sum()),
            seen=self.seen + int(counts[known].sum()),
            unanswered=self.unanswered + int(counts[(batch["label"] >= 0) & ~rows].sum()),
            missing=self.missing + int(counts[rows & ~known].sum()),
        )

    def merge(self, other: Self) -> Self:
        return replace(
            self,
            hits=self.hits + other.hits,
            seen=self.seen + other.seen,
            unanswered=self.unanswered + other.unanswered,
            missing=self.missing + other.missing,
        )

    def compute(self) -> dict[str, Estimate]:
        if not self.seen and self.missing:
            return {}
        shares = {f"top{self.k}": rate(self.hits, self.seen)}
        return {**shares, "top1_all": rate(self.hits, self.seen + self.unanswered)} if self.k == 1 else shares


@dataclass(frozen=True)
class CrossEntropy:
    """Mean negative natural logarithm of the probability given to the truth, in nats.

    A truth that was given less than exp(-2**15), or nothing, makes the mean infinite, without limits; the
    other rows' sums stay as they are.
    """

    moments: Moments = field(default_factory=Moments)
    infinite: int = 0
    missing: int = 0

    def update(self, batch: Batch) -> Self:
        (logs,), counts, missing = measured(batch, "predicted_truth_log_score")
        losses = -_logarithms(logs)
        finite = losses < LARGEST
        return replace(
            self,
            moments=self.moments.add(losses[finite], counts[finite]),
            infinite=self.infinite + int(counts[~finite].sum()),
            missing=self.missing + missing,
        )

    def merge(self, other: Self) -> Self:
        return replace(
            self,
            moments=self.moments.merge(other.moments),
            infinite=self.infinite + other.infinite,
            missing=self.missing + other.missing,
        )

    def compute(self) -> dict[str, Estimate]:
        n = self.moments.n + self.infinite
        if not n and self.missing:
            return {}
        if self.infinite:
            return {"cross_entropy": Estimate(np.inf, np.nan, np.nan, n)}
        return {"cross_entropy": self.moments.estimate(lowest=0.0)}


@dataclass(frozen=True)
class Brier:
    """Squared distance of the probabilities from the truth, summed over classes, in 0..2; 0 is best.

    Of an image it is `sum(p**2) - 2 * p[truth] + 1`, so no more than two numbers of its distribution are needed.

    Reference: Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950.
    """

    moments: Moments = field(default_factory=Moments)
    missing: int = 0

    def update(self, batch: Batch) -> Self:
        (logs, squares), counts, missing = measured(batch, "predicted_truth_log_score", "predicted_score_squares")
        distances = squares - 2 * np.exp(_logarithms(logs)) + 1
        return replace(self, moments=self.moments.add(distances, counts), missing=self.missing + missing)

    def merge(self, other: Self) -> Self:
        return replace(self, moments=self.moments.merge(other.moments), missing=self.missing + other.missing)

    def compute(self) -> dict[str, Estimate]:
        if not self.moments.n and self.missing:
            return {}
        return {"brier": self.moments.estimate(lowest=0.0, highest=2.0)}


def _logarithms(logs: Array) -> Array:
    """Log-probabilities as they are, with rounding above 0 taken off.

    Raises:
        ValueError: if one is above 0: a probability, a loss or a logit, but no logarithm of a probability.
    """
    above = logs > _ROUNDING
    if above.any():
        raise ValueError(f"log-probabilities must not be above 0, got {logs[above][0]}")
    rounded: Array = np.minimum(logs, 0.0)
    return rounded


def suite(classes: tuple[str, ...] | None = None) -> Suite:
    """Every metric of the room; top-5 only where it can be wrong, that is with more than five classes."""
    top = [TopK(1), TopK(5)] if classes is None or len(classes) > 5 else [TopK(1)]
    states: list[Accumulator] = [*top, CrossEntropy(), Brier(), Calibration(), Confusion(classes)]
    return Suite(tuple(states))
