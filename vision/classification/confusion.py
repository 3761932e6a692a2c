"""Who is taken for whom: one sparse confusion matrix, and what it determines.

Macro means run over the classes that occur as truth or as prediction, with 0 where a division has nothing below:
a class that is only ever predicted, or never, counts as a failure and not as a gap. That is scikit-learn's
`average="macro", zero_division=0`; its `balanced_accuracy_score` is the same number as `macro_recall` unless some
class is predicted that never occurs, which it leaves out. Declared classes that are seen in neither do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from vision.accumulator import Array, Batch, Counts, Estimate, plotted, weights
from vision.classification.answers import counted
from vision.intervals import multinomial_bootstrap, wilson

STRIDE = 2**31  # labels are int32; with one stride for all, states merge whether classes are declared or not
MOST = 20


@dataclass(frozen=True)
class Confusion:
    """Counts keyed `truth * STRIDE + prediction`, with macro recall, precision and F1.

    Intervals are a multinomial bootstrap of the pairs that occur: 0.3 s for the 10,000 pairs of an ImageNet
    evaluation, and fewer draws where there are over 50,000 pairs, so that a million take no more than 20 s. Where all
    answers are right, or all wrong, redraws have no spread, and the limits are those of `top1`.
    """

    classes: tuple[str, ...] | None = None
    counts: Counts = field(default_factory=Counts)

    def update(self, batch: Batch) -> Self:
        rows = counted(batch)
        truth, prediction = batch["label"][rows], batch["predicted_label"][rows]
        if not len(truth):
            return self
        side = int(max(truth.max(), prediction.max())) + 1
        if side > (STRIDE if self.classes is None else len(self.classes)):
            limit = "2**31" if self.classes is None else f"the {len(self.classes)} classes"
            raise ValueError(f"label {side - 1} is outside {limit}")
        pairs = Counts.of(truth * side + prediction, weights(batch)[rows])
        keys = pairs.keys // side * STRIDE + pairs.keys % side
        return replace(self, counts=self.counts.merge(Counts(keys, pairs.counts)))

    def merge(self, other: Self) -> Self:
        return replace(self, counts=self.counts.merge(other.counts))

    def compute(self) -> dict[str, Estimate]:
        names = ("macro_recall", "macro_precision", "macro_f1")
        pairs, n = Pairs.of(self.counts), self.counts.total()
        if not n:
            return {name: Estimate(np.nan, np.nan, np.nan, 0) for name in names}
        values = pairs.macro(self.counts.counts[None])[0]
        draws = max(100, min(1000, 50_000_000 // len(self.counts.keys)))
        low, high = np.clip(multinomial_bootstrap(self.counts.counts, pairs.macro, draws), 0.0, 1.0)
        right = int(self.counts.counts[pairs.truth == pairs.prediction].sum())
        if right in (0, n):  # nothing to redraw but the same
            low, high = (np.full(3, limit) for limit in wilson(right, n))
        return {
            name: Estimate(float(value), float(lower), float(upper), n)
            for name, value, lower, upper in zip(names, values, low, high, strict=True)
        }

    def tables(self) -> dict[str, pa.Table]:
        """`classes`, `confusion` and `most_confused`, by the rows that occur."""
        pairs = Pairs.of(self.counts)
        columns = {"truth": pairs.labels[pairs.truth], "prediction": pairs.labels[pairs.prediction]}
        confusion = pa.table({**columns, "count": self.counts.counts})
        return {
            "classes": self._by_class(pairs),
            "confusion": confusion,
            "most_confused": self._most_confused(pairs, confusion),
        }

    def _by_class(self, pairs: Pairs) -> pa.Table:
        right, truth, predicted = (sums[0] for sums in pairs.margins(self.counts.counts[None]))
        limits = np.array([wilson(int(r), int(n)) for r, n in zip(right, truth, strict=True)]).reshape(-1, 2)
        shares = {
            "accuracy": _ratios(right, truth), "low": limits[:, 0], "high": limits[:, 1],
            "precision": _ratios(right, predicted), "f1": _ratios(2 * right, truth + predicted),
        }  # fmt: skip
        columns = {name: pa.array(values, from_pandas=True) for name, values in shares.items()}  # nan: null
        return pa.table(
            {
                "class": pairs.labels,
                "name": pa.array(self._names(pairs.labels), pa.string()),
                "n": truth,
                "predicted": predicted,
                **columns,
            }
        )

    def _most_confused(self, pairs: Pairs, confusion: pa.Table) -> pa.Table:
        _, truth, _ = (sums[0] for sums in pairs.margins(self.counts.counts[None]))
        wrong = np.flatnonzero(pairs.truth != pairs.prediction)
        order = wrong[np.argsort(-self.counts.counts[wrong], kind="stable")][:MOST]
        most = confusion.take(pa.array(order, pa.int64()))
        most = most.append_column("share", pa.array(self.counts.counts[order] / truth[pairs.truth[order]]))
        names = (self._names(most[column].to_numpy()) for column in ("truth", "prediction"))
        most = most.append_column("pair", pa.array([f"{a} → {b}" for a, b in zip(*names, strict=True)], pa.string()))
        return plotted(most, kind="bars", label="pair", value="count")

    def _names(self, labels: Array) -> list[str]:
        """The names of classes, or their numbers where none were declared."""
        return [str(label) if self.classes is None else self.classes[label] for label in labels.tolist()]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Where each cell of a sparse matrix stands: `labels` (U,) that occur, and indices (C,) into them."""

    labels: Array
    truth: Array
    prediction: Array

    @classmethod
    def of(cls, counts: Counts) -> Pairs:
        truth, prediction = counts.keys // STRIDE, counts.keys % STRIDE
        labels = np.union1d(truth, prediction)
        return cls(labels, np.searchsorted(labels, truth), np.searchsorted(labels, prediction))

    def margins(self, drawn: Array) -> tuple[Array, Array, Array]:
        """Right answers, truths and predictions of each class, (B, U) int64, from cell counts (B, C)."""
        right = np.zeros((len(drawn), len(self.labels)), np.int64)
        diagonal = np.flatnonzero(self.truth == self.prediction)
        right[:, self.truth[diagonal]] = drawn[:, diagonal]
        order = np.argsort(self.prediction, kind="stable")
        return right, self._sums(self.truth, drawn), self._sums(self.prediction[order], drawn[:, order])

    def macro(self, drawn: Array) -> Array:
        """Macro recall, precision and F1 of each draw, (B, 3), over the classes that occur in it."""
        right, truth, predicted = self.margins(drawn)
        seen = np.maximum(1, ((truth + predicted) > 0).sum(axis=1))  # (B,)
        shares = (_ratios(right, truth), _ratios(right, predicted), _ratios(2 * right, truth + predicted))
        return np.stack([np.nan_to_num(share).sum(axis=1) / seen for share in shares], axis=1)

    def _sums(self, codes: Array, drawn: Array) -> Array:
        """(B, U) sums of `drawn` (B, C) by `codes` (C,), which are sorted."""
        sums = np.zeros((len(drawn), len(self.labels)), np.int64)
        if len(codes):
            starts = np.flatnonzero(np.diff(codes, prepend=-1))
            sums[:, codes[starts]] = np.add.reduceat(drawn, starts, axis=1)
        return sums


def _ratios(part: Array, whole: Array) -> Array:
    """Element by element, nan where nothing is below."""
    shares: Array = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return shares
