"""The answers that were most wrong: few, kept by how little the true class was thought likely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from vision.accumulator import Batch
from vision.notable import Notable


@dataclass(frozen=True)
class Worst(Notable):
    """The `keep` wrong answers with the lowest probability of the truth."""

    classes: tuple[str, ...] | None = None

    def update(self, batch: Batch) -> Self:
        if "predicted_label" not in batch or "label" not in batch:
            return self
        wrong = batch["answered"] & (batch["label"] >= 0) & (batch["label"] != batch["predicted_label"])
        goodness = batch.get("predicted_truth_log_score", -batch.get("predicted_score", np.zeros(len(wrong))))
        return self._with(goodness, wrong, batch["id"], lambda row: self._caption(batch, row))

    def _caption(self, batch: Batch, row: int) -> str:
        truth, said = int(batch["label"][row]), int(batch["predicted_label"][row])
        score = f" ({batch['predicted_score'][row]:.2f})" if "predicted_score" in batch else ""
        return f"{self._name(truth)}, called {self._name(said)}{score}"

    def _name(self, label: int) -> str:
        return self.classes[label] if self.classes and label < len(self.classes) else str(label)
