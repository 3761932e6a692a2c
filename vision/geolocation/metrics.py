"""How near a photo was placed: shares within distances, median, mean and GeoScore, each with an interval.

The defaults are those of most papers: a photo is a hit at 25 km if the haversine on a sphere of 6371 km is at most (<=)
25 km. `inclusive`, the formula and the radius are parameters, because with 237 photos a last digit is half a photo.

All 50 places of OSV-5M's game, scored by its authors with `<`: 2, 12, 36, 66 and 86 % within 1, 25, 200, 750 and
2,500 km, mean GeoScore 3290.73; so it is here. A million photos take the whole suite 2 s of one core.

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016; Astruc et al., "OpenStreetView-5M", CVPR 2024.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from vision.accumulator import Accumulator, Array, Batch, Estimate, Suite
from vision.geolocation.answers import errors
from vision.geolocation.calibration import CellCalibration
from vision.geolocation.distance import Distance
from vision.intervals import rate
from vision.moments import Moments
from vision.quantiles import Sizes

THRESHOLDS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country, continent."""

GEOSCORE_KM = 1492.7
FULL_SCORE = 5000.0


@dataclass(frozen=True)
class WithinKm:
    """Share of photos placed within `km` of where they were taken; those without a prediction are misses.

    Attributes:
        inclusive: whether exactly `km` is a hit (<=); false as OSV-5M and PIGEON have it (<).
    """

    km: float = 25.0
    inclusive: bool = True
    distance: Distance = field(default_factory=Distance)
    hits: int = 0
    seen: int = 0

    def update(self, batch: Batch) -> Self:
        km, counts = errors(batch, self.distance)
        near = hits(km, self.km, self.inclusive)
        return replace(self, hits=self.hits + int(counts[near].sum()), seen=self.seen + int(counts.sum()))

    def merge(self, other: Self) -> Self:
        return replace(self, hits=self.hits + other.hits, seen=self.seen + other.seen)

    def compute(self) -> dict[str, Estimate]:
        return {f"within_{self.km:g}_km": rate(self.hits, self.seen)}


def hits(km: Array, threshold_km: float, inclusive: bool = True) -> Array:
    """(N,) bool: which distances (N,) are within a threshold."""
    near: Array = km <= threshold_km if inclusive else km < threshold_km
    return near


@dataclass(frozen=True)
class MedianKm:
    """Median distance, where a photo without a prediction is farther away than any other; infinite if most are.

    Exact to eight in a million; the limits are order statistics.
    """

    distance: Distance = field(default_factory=Distance)
    sizes: Sizes = field(default_factory=Sizes)

    def update(self, batch: Batch) -> Self:
        return replace(self, sizes=self.sizes.add(*errors(batch, self.distance)))

    def merge(self, other: Self) -> Self:
        return replace(self, sizes=self.sizes.merge(other.sizes))

    def compute(self) -> dict[str, Estimate]:
        limits = self.sizes.interval(self.distance.longest_km)
        return {"median_km": Estimate(self.sizes.median(), *limits, self.sizes.n)}


@dataclass(frozen=True)
class MeanKm:
    """Mean distance, and the share of photos that were placed at all (`answered`).

    A photo without a prediction has no distance: the mean is over the others, `n` says how many, and it is
    `answered` that says what the mean leaves out.
    """

    distance: Distance = field(default_factory=Distance)
    moments: Moments = field(default_factory=Moments)
    seen: int = 0

    def update(self, batch: Batch) -> Self:
        found = errors(batch, self.distance)
        km, counts = found.km[found.placed], found.counts[found.placed]
        return replace(self, moments=self.moments.add(km, counts), seen=self.seen + int(found.counts.sum()))

    def merge(self, other: Self) -> Self:
        return replace(self, moments=self.moments.merge(other.moments), seen=self.seen + other.seen)

    def compute(self) -> dict[str, Estimate]:
        mean = self.moments.estimate(lowest=0.0, highest=self.distance.longest_km)
        return {"mean_km": mean, "answered": rate(self.moments.n, self.seen)}


@dataclass(frozen=True)
class GeoScore:
    """Mean of GeoGuessr's points, 5000 * exp(-km / 1492.7); a photo without a prediction has none.

    Reference: Haas et al., "PIGEON: Predicting Image Geolocations", CVPR 2024.
    """

    scale_km: float = GEOSCORE_KM
    distance: Distance = field(default_factory=Distance)
    moments: Moments = field(default_factory=Moments)

    def update(self, batch: Batch) -> Self:
        km, counts = errors(batch, self.distance)
        return replace(self, moments=self.moments.add(points(km, self.scale_km), counts))

    def merge(self, other: Self) -> Self:
        return replace(self, moments=self.moments.merge(other.moments))

    def compute(self) -> dict[str, Estimate]:
        return {"geoscore": self.moments.estimate(lowest=0.0, highest=FULL_SCORE)}


def points(km: Array, scale_km: float = GEOSCORE_KM) -> Array:
    """(N,) points of distances (N,), 0..5000; none for an infinite one."""
    found: Array = FULL_SCORE * np.exp(-km / scale_km)
    return found


def placing(
    thresholds_km: tuple[float, ...] = THRESHOLDS_KM, inclusive: bool = True, distance: Distance | None = None
) -> tuple[Accumulator, ...]:
    """The metrics of distances.

    Raises:
        ValueError: if a threshold is no distance.
    """
    for km in thresholds_km:
        if not (km > 0 and math.isfinite(km)):
            raise ValueError(f"thresholds are kilometres above 0, got {km}")
    by = distance or Distance()
    within = [WithinKm(km, inclusive, by) for km in thresholds_km]
    return (*within, MedianKm(by), MeanKm(by), GeoScore(distance=by))


def suite(
    thresholds_km: tuple[float, ...] = THRESHOLDS_KM, inclusive: bool = True, distance: Distance | None = None
) -> Suite:
    """Every metric of the room."""
    return Suite((*placing(thresholds_km, inclusive, distance), CellCalibration()))
