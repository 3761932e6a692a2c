"""Metrics that are no means over images, as functions of counts by cell: two models are compared by redrawing them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vision.accumulator import Array, Batch, Counts
from vision.classification.answers import NEEDS, counted
from vision.classification.confusion import STRIDE, Pairs
from vision.contribution import PerCell
from vision.reliability import bins


def _confused(batch: Batch) -> Array:
    cells: Array = np.where(counted(batch), batch["label"] * STRIDE + batch["predicted_label"], -1)
    return cells


def _macro(which: int) -> Callable[[Array, Array, Array], Array]:
    def metric(cells: Array, counts: Array, _sums: Array) -> Array:
        values: Array = Pairs.of(Counts(cells, np.ones(len(cells), np.int64))).macro(counts)[:, which]
        return values

    return metric


def _scored(batch: Batch) -> Array:
    scores = np.asarray(batch["predicted_score"], np.float64)
    known = counted(batch) & ~np.isnan(scores)
    cells = np.full(len(scores), -1, np.int64)
    cells[known] = 2 * bins(scores[known]) + (batch["label"] == batch["predicted_label"])[known]
    return cells


def _score(batch: Batch) -> Array:
    return np.clip(np.nan_to_num(np.asarray(batch["predicted_score"], np.float64)), 0.0, 1.0)


def _calibration_error(cells: Array, counts: Array, sums: Array) -> Array:
    surprise = counts * (cells % 2) - sums  # (B, C) right answers less the scores that promised them
    edges = np.flatnonzero(np.diff(cells // 2, prepend=-1))
    gaps = np.abs(np.add.reduceat(surprise, edges, axis=1)).sum(axis=1)
    errors: Array = gaps / np.maximum(1, counts.sum(axis=1))
    return errors


_METRICS = {
    "macro_recall": PerCell(_confused, None, _macro(0), NEEDS),
    "macro_precision": PerCell(_confused, None, _macro(1), NEEDS),
    "macro_f1": PerCell(_confused, None, _macro(2), NEEDS),
    "calibration_error": PerCell(_scored, _score, _calibration_error, (*NEEDS, "predicted_score")),
}


def per_cell(metric: str) -> PerCell | None:
    """How a metric follows from counts; None if it does not, because it is a mean over images or is not known."""
    return _METRICS.get(metric)
