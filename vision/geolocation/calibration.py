"""Does a net know how often it names the right cell? The reliability of the predicted cell's probability."""

from __future__ import annotations

from typing import Self

import numpy as np

from vision.accumulator import Array, Batch, weights
from vision.geolocation import s2
from vision.geolocation.answers import positions
from vision.reliability import Reliability


class CellCalibration(Reliability):
    """Expected calibration error of `predicted_score`, of photos that were placed.

    A cell is right if the photo was taken in it. That is told by its token (`predicted_cell`), else by classes (`label`
    and `predicted_label`), where -1 says that a photo lies in no cell, and none was right.
    """

    def update(self, batch: Batch) -> Self:
        truth, said = positions(batch, ""), positions(batch, "predicted_")
        rows: Array = np.isfinite(np.concatenate([truth, said], axis=1)).all(axis=1)
        if "answered" in batch:
            rows &= batch["answered"]
        counts = weights(batch)
        if "predicted_score" not in batch:
            return self._without(int(counts[rows].sum()))
        scores = np.asarray(batch["predicted_score"], np.float64)
        named, right = _right(batch, truth, rows)
        known = rows & named & ~np.isnan(scores)
        missing = int(counts[rows & ~known].sum())
        return self.add(scores[known], right[known], counts[known], missing)

    def _without(self, missing: int) -> Self:
        return self.add(np.empty(0), np.empty(0, bool), np.empty(0, np.int64), missing)


def _right(batch: Batch, truth: Array, rows: Array) -> tuple[Array, Array]:
    """(N,) bool twice: whether a cell is named, and whether it is the right one."""
    if "predicted_cell" in batch:
        tokens = batch["predicted_cell"]
        named = rows & np.array([isinstance(token, str) for token in tokens], bool)
        right = np.zeros(len(named), bool)
        cells = s2.from_tokens(tokens[named].tolist())
        right[named] = s2.contains(cells, s2.ids(truth[named, 0], truth[named, 1]))
        return named, right
    if "label" in batch and "predicted_label" in batch:
        said = batch["predicted_label"]
        return said >= 0, batch["label"] == said
    return np.zeros(len(rows), bool), np.zeros(len(rows), bool)
