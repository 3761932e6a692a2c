"""Does a classifier know how often it is right? The reliability of the predicted label's score (top-1)."""

from __future__ import annotations

from typing import Self

from vision.accumulator import Batch
from vision.classification.answers import measured
from vision.reliability import Reliability


class Calibration(Reliability):
    """Expected calibration error of the score of the predicted label; see `Reliability`."""

    def update(self, batch: Batch) -> Self:
        (scores, label, prediction), counts, missing = measured(batch, "predicted_score", "label", "predicted_label")
        return self.add(scores, label == prediction, counts, missing)
