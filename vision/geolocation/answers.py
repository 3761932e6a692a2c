"""What a batch of placed photos holds, which of its rows count, and how far off each is.

id                    (N,) strings
latitude, longitude   (N,) float64 degrees, where a photo was taken; nan where that is not known: such rows do not count
predicted_latitude, predicted_longitude   (N,) float64 degrees; nan where there is no answer
answered              (N,) bool, false where the photo could not be read or placed; may be absent
count                 (N,) int64, how many photos a row stands for; may be absent
predicted_score       (N,) float64 probability of the predicted cell; may be absent
predicted_cell        (N,) strings, the token of that cell; may be absent
label, predicted_label   (N,) int64 classes of the cell that holds the photo and of the predicted one, -1 for none;
                      these tell whether the cell was right where there are no tokens; may be absent

A photo without a prediction is a miss in every share, and farther away than any other in a median: never dropped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vision.accumulator import Array, Batch, weights
from vision.geolocation.distance import Distance

NEEDS = ("latitude", "longitude", "predicted_latitude", "predicted_longitude")
"""Columns without which there is nothing to score."""


class Errors(NamedTuple):
    """Of photos whose place is known: kilometres off (M,), infinite where not placed, and how many each stands for."""

    km: Array
    counts: Array

    @property
    def placed(self) -> Array:
        """(M,) bool."""
        return np.isfinite(self.km)


def errors(batch: Batch, distance: Distance) -> Errors:
    """How far off the photos are that count."""
    km = errors_km(batch, distance)
    known = ~np.isnan(km)
    return Errors(km[known], weights(batch)[known])


def errors_km(batch: Batch, distance: Distance) -> Array:
    """(N,) kilometres; infinite where a photo was not placed, nan where nobody knows where it was taken.

    Raises:
        ValueError: if a position is nowhere on Earth.
    """
    truth, said = positions(batch, ""), positions(batch, "predicted_")
    known, placed = (np.isfinite(place).all(axis=1) for place in (truth, said))
    if "answered" in batch:
        placed &= batch["answered"]
    km = np.where(known, np.inf, np.nan)
    rows = known & placed
    km[rows] = distance.between(truth[rows], said[rows])
    return km


def positions(batch: Batch, prefix: str) -> Array:
    """(N, 2) latitude and longitude, degrees, nan where missing.

    Raises:
        ValueError: if one is nowhere on Earth.
    """
    columns = [np.asarray(batch[f"{prefix}{name}"], np.float64) for name in NEEDS[:2]]
    for name, values, most in zip(NEEDS, columns, (90.0, 180.0), strict=False):
        beyond = np.abs(values) > most
        if beyond.any():
            raise ValueError(f"{prefix}{name} must be in -{most:g}..{most:g} degrees, got {values[beyond][0]}")
    return np.stack(columns, axis=1)
