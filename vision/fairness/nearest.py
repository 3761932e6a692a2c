"""Which country or region a photo is from, as the nearest of places that somebody lists.

No border is known here, so near a border the nearest place may lie beyond it; the denser the list, the rarer. A photo
farther than `within_km` from every place (at sea) belongs to none. A million photos take 0.6 s of a core
against 25,000 places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.sphere import EARTH_KM, FAULTS, faults, unit_vectors


@dataclass(frozen=True, eq=False)
class Nearest:
    """Places (P,) at `latitude` and `longitude`, degrees."""

    latitude: Array
    longitude: Array
    within_km: float

    def __post_init__(self) -> None:
        if not len(self.latitude):
            raise ValueError("there is no place to be near to")
        wrong = faults(self.latitude, self.longitude)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"the position of place {first + 1} is no place: {FAULTS[wrong[first]]}")

    def of(self, latitude: Array, longitude: Array) -> Array:
        """(N,) int64: the number of the nearest place to each photo; -1 for a photo without a position or near none."""
        found = np.full(len(latitude), -1, np.int64)
        known = np.flatnonzero(faults(latitude, longitude) == 0)
        if len(known):
            # A chord is as short as its arc, so near in space is near on the ground.
            farthest = 2 * math.sin(min(math.pi, self.within_km / EARTH_KM) / 2)
            points = unit_vectors(latitude[known], longitude[known])
            _, place = self._tree.query(points, distance_upper_bound=np.nextafter(farthest, np.inf))
            found[known] = np.where(place < len(self.latitude), place, -1)
        return found

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(unit_vectors(self.latitude, self.longitude))
