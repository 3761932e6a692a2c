"""The answers that were most wrong: few, kept by how little the true class was thought likely."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vision.accumulator import Batch, Estimate


@dataclass(frozen=True)
class Worst:
    """The `keep` wrong answers with the lowest probability of the truth (ties by id): (log_score, id, caption)."""

    classes: tuple[str, ...] | None = None
    keep: int = 12
    rows: tuple[tuple[float, str, str], ...] = ()

    def update(self, batch: Batch) -> Worst:
        if "predicted_label" not in batch or "label" not in batch:
            return self
        wrong = batch["answered"] & (batch["label"] >= 0) & (batch["label"] != batch["predicted_label"])
        badness = batch.get("predicted_truth_log_score", -batch.get("predicted_score", np.zeros(len(wrong))))
        rows = np.flatnonzero(wrong & np.isfinite(badness))
        # The threshold is inclusive, so that ties are settled by id and not by the order of batches.
        edge = np.partition(badness[rows], self.keep - 1)[self.keep - 1] if len(rows) > self.keep else np.inf
        found = tuple(self._row(batch, int(row), float(badness[row])) for row in rows if badness[row] <= edge)
        return self._kept(found)

    def merge(self, other: Worst) -> Worst:
        return self._kept(other.rows)

    def compute(self) -> dict[str, Estimate]:
        return {}

    def notable(self) -> tuple[tuple[str, str], ...]:
        """(id, caption), the worst first."""
        return tuple((id_, caption) for _, id_, caption in self.rows)

    def _kept(self, more: tuple[tuple[float, str, str], ...]) -> Worst:
        return replace(self, rows=tuple(sorted((*self.rows, *more))[: self.keep]))

    def _row(self, batch: Batch, row: int, badness: float) -> tuple[float, str, str]:
        truth, said = int(batch["label"][row]), int(batch["predicted_label"][row])
        score = f" ({batch['predicted_score'][row]:.2f})" if "predicted_score" in batch else ""
        return badness, str(batch["id"][row]), f"{self._name(truth)}, called {self._name(said)}{score}"

    def _name(self, label: int) -> str:
        return self.classes[label] if self.classes and label < len(self.classes) else str(label)
