"""What one image contributes to a metric: the values that two models are compared by, image by image."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array, Batch
from vision.classification.answers import NEEDS, counted
from vision.contribution import PerImage

_LOSSES = ("cross_entropy", "brier", "calibration_error")


def _right(batch: Batch) -> Array:
    rows = counted(batch)
    values: Array = np.where(rows, batch["label"] == batch["predicted_label"], np.nan)
    return values


def _right_of_all(batch: Batch) -> Array:
    labelled = batch["label"] >= 0
    values: Array = np.where(labelled, batch["answered"] & (batch["label"] == batch["predicted_label"]), np.nan)
    return values


def _among_five(batch: Batch) -> Array:
    hit = (batch["predicted_top_labels"][:, :5] == batch["label"][:, None]).any(axis=1)
    values: Array = np.where(counted(batch), hit, np.nan)
    return values


def _loss(batch: Batch) -> Array:
    values: Array = np.where(counted(batch), -batch["predicted_truth_log_score"], np.nan)
    return values


def _distance(batch: Batch) -> Array:
    probability = np.exp(batch["predicted_truth_log_score"])
    values: Array = np.where(counted(batch), batch["predicted_score_squares"] - 2 * probability + 1, np.nan)
    return values


_METRICS = {
    "top1": PerImage(_right, NEEDS, rate=True),
    "top1_all": PerImage(_right_of_all, NEEDS, rate=True),
    "top5": PerImage(_among_five, (*NEEDS, "predicted_top_labels"), rate=True),
    "cross_entropy": PerImage(_loss, (*NEEDS, "predicted_truth_log_score"), rate=False),
    "brier": PerImage(_distance, (*NEEDS, "predicted_truth_log_score", "predicted_score_squares"), rate=False),
}


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is an improvement."""
    return metric not in _LOSSES


def per_image(metric: str) -> PerImage:
    """How a metric is compared image by image.

    Raises:
        ValueError: if it is not a mean over images (macro averages and calibration are not).
    """
    if metric not in _METRICS:
        raise ValueError(f"metric {metric!r} cannot be compared image by image; these can: {', '.join(_METRICS)}")
    return _METRICS[metric]
