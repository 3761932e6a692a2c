"""What one photo contributes to a metric: the values that two models are compared by, photo by photo."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from vision.accumulator import Array, Batch
from vision.contribution import PerCell, PerImage
from vision.geolocation.answers import NEEDS, errors_km
from vision.geolocation.distance import Distance
from vision.geolocation.metrics import hits, points
from vision.quantiles import keys, middles

_LOSSES = ("median_km", "mean_km", "calibration_error")
_COLUMNS = (*NEEDS, "answered")
_WITHIN = re.compile(r"within_(\d+(?:\.\d+)?)_km")
_COARSE = 8
"""Bits by which a median's bins are told where each is drawn again 200 times: 0.2 % of the median."""


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is an improvement."""
    return metric not in _LOSSES


def _of_known(score: Callable[[Array], Array]) -> Callable[[Batch], Array]:
    def value(batch: Batch) -> Array:
        km = errors_km(batch, Distance())
        values: Array = np.where(np.isnan(km), np.nan, score(km))
        return values

    return value


def _within(threshold_km: float) -> PerImage:
    return PerImage(_of_known(lambda km: hits(km, threshold_km)), _COLUMNS, rate=True)


def _finite(km: Array) -> Array:
    values: Array = np.where(np.isfinite(km), km, np.nan)
    return values


_METRICS = {
    "answered": PerImage(_of_known(np.isfinite), _COLUMNS, rate=True),
    "mean_km": PerImage(_of_known(_finite), _COLUMNS, rate=False),
    "geoscore": PerImage(_of_known(points), _COLUMNS, rate=False),
}


def per_image(metric: str) -> PerImage:
    """How a metric is compared photo by photo: `within_10_km` at any distance, and the rest by name.

    Raises:
        ValueError: if it is not known.
    """
    within = _WITHIN.fullmatch(metric)
    if within and float(within[1]) > 0:
        return _within(float(within[1]))
    if metric not in _METRICS:
        known = ", ".join(("within_25_km (at any distance)", *_METRICS, "median_km"))
        raise ValueError(f"metric {metric!r} cannot be compared photo by photo; these can: {known}")
    return _METRICS[metric]


def _bin(batch: Batch) -> Array:
    km = errors_km(batch, Distance())
    cells = np.full(len(km), -1, np.int64)
    known = ~np.isnan(km)
    cells[known] = keys(km[known], _COARSE)
    return cells


def _median(cells: Array, counts: Array, _sums: Array) -> Array:
    """(B,) medians of (B, C) counts by bin, a draw a row."""
    running = np.cumsum(counts, axis=1)
    n = running[:, -1]
    numbers = middles(cells, _COARSE)
    low, high = (numbers[np.argmax(running > rank[:, None], axis=1)] for rank in (np.maximum(n - 1, 0) // 2, n // 2))
    medians: Array = np.where(low == high, low, (low + high) / 2)
    return medians


def per_cell(metric: str) -> PerCell | None:
    """How a metric follows from counts by bin; None if it does not."""
    return PerCell(_bin, None, _median, _COLUMNS) if metric == "median_km" else None
