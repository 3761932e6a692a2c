"""im2gps: a photo was taken where photos that look like it were. From neighbours to one position.

Three readings of the same neighbours: the first one; the place where they are densest, in degrees on a grid (Revisited
Im2GPS: weights 1 / d**10 of the best 100, sigma 4 degrees, a coarse and a fine grid, then the first neighbour within
100 km of the peak); and the biggest mode of a mean shift on the sphere (2008: 120 neighbours).

Departures: the grid is closed round the antimeridian (the authors' is not, and Fiji lies on both sides of it), and the
mean shift goes along great circles.

Accuracy of im2gps on its 237 photos, per cent within 25, 200, 750, 2,500 km: 2008 12/15/23/47; 2014 21.9/32.1/35.4/51.9
(and 2.5 within 1 km); Revisited, with features of a net and 28 million photos 33.3/47.7/61.6/73.4 (14.4).

References: Hays & Efros, "IM2GPS", CVPR 2008; Vo, Jacobs & Hays, "Revisiting IM2GPS in the deep learning era", ICCV
2017; Comaniciu & Meer, "Mean shift", IEEE PAMI 2002.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vision.accumulator import Array
from vision.geolocation.neighbours import Neighbours
from vision.sphere import EARTH_KM, great_circle_km, positions, unit_vectors

By = Literal["first", "density", "mean-shift"]

_WINDOW_DEGREES, _FINE_DEGREES = 20.0, 0.1


@dataclass(frozen=True)
class Reading:
    """How neighbours are read.

    Attributes:
        by: "first", "density" or "mean-shift".
        sigma_degrees: width of the density's kernel.
        power, best: of the density's weights 1 / distance**power, of the `best` neighbours.
        snap_km: the density's answer is the first neighbour within this of its peak; 0: the peak itself.
        bandwidth_km: of the mean shift; modes nearer to each other are one.

    Raises:
        ValueError: if a number makes no sense.
    """

    by: By = "density"
    sigma_degrees: float = 4.0
    power: float = 10.0
    best: int = 100
    snap_km: float = 100.0
    bandwidth_km: float = 200.0

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise ValueError(f"by must be one of {', '.join(get_args(By))}, got {self.by!r}")
        if min(self.sigma_degrees, self.bandwidth_km, self.best) <= 0 or min(self.power, self.snap_km) < 0:
            raise ValueError(f"widths are above 0, powers and distances from 0 up, got {self}")

    def __call__(self, found: Neighbours) -> Array:
        """(Q, 2) degrees; nan for a query without neighbours."""
        answers = np.full((len(found.distances), 2), np.nan)
        read = {"first": _first, "density": self._densest, "mean-shift": self._mode}[self.by]
        for query, (distances, places) in enumerate(zip(found.distances, found.places, strict=True)):
            known = np.isfinite(distances)
            if known.any():
                answers[query] = read(distances[known], places[known])
        return answers

    def _densest(self, distances: Array, places: Array) -> Array:
        places, weights = places[: self.best], weights_of(distances[: self.best], self.power)
        peak = densest(places, weights, self.sigma_degrees)
        if not self.snap_km:
            return peak
        near = great_circle_km(places, np.broadcast_to(peak, places.shape)) <= self.snap_km
        found: Array = places[np.argmax(near)] if near.any() else peak
        return found

    def _mode(self, _distances: Array, places: Array) -> Array:
        return biggest_mode(places, self.bandwidth_km)


def _first(_distances: Array, places: Array) -> Array:
    found: Array = places[0]
    return found


def weights_of(distances: Array, power: float) -> Array:
    """(K,) weights 1 / distance**power, relative to the nearest; where some are 0, only those count."""
    nearest = distances.min()
    same: Array = (distances == 0).astype(np.float64)
    weights: Array = same if nearest == 0 else (nearest / distances) ** power
    return weights


def densest(places: Array, weights: Array, sigma_degrees: float = 4.0) -> Array:
    """Where weighted places are densest: a grid of whole degrees, then one of tenths in 20 degrees round its peak.

    Args:
        places: (K, 2) degrees, weights (K,).

    Returns:
        (2,) degrees. Longitudes go round; the kernel is one of degrees, as in the paper, so it narrows to the poles.
    """
    coarse = _peak(places, weights, np.arange(-89.5, 90.0), np.arange(-179.5, 180.0), sigma_degrees)
    steps = np.arange(-_WINDOW_DEGREES, _WINDOW_DEGREES + _FINE_DEGREES / 2, _FINE_DEGREES)
    rows = coarse[0] + steps
    return _peak(places, weights, rows[np.abs(rows) <= 90], _round(coarse[1] + steps), sigma_degrees)


def _peak(places: Array, weights: Array, rows: Array, columns: Array, sigma: float) -> Array:
    """The densest point of a grid: a Gaussian of both degrees is a product, so the grid is one of matrices."""
    down = np.exp(-((rows[:, None] - places[:, 0]) ** 2) / (2 * sigma**2))  # (R, K)
    across = np.exp(-(_round(columns[:, None] - places[:, 1]) ** 2) / (2 * sigma**2))  # (C, K)
    row, column = np.unravel_index(np.argmax((down * weights) @ across.T), (len(rows), len(columns)))
    return np.array([rows[row], columns[column]])


def _round(degrees: Array) -> Array:
    """Longitudes in -180..180, exclusive of 180."""
    turned: Array = (degrees + 180) % 360 - 180
    return turned


def biggest_mode(places: Array, bandwidth_km: float = 200.0, rounds: int = 100) -> Array:
    """The mode to which most places move, each step to the mean of all, weighed by a Gaussian of the great circle.

    Args:
        places: (K, 2) degrees, best first.

    Returns:
        (2,) degrees; of modes with as many places the one that the better of them moves to.
    """
    points = unit_vectors(places[:, 0], places[:, 1])
    modes = points
    for _ in range(rounds):
        weights = np.exp(-((_km(modes, points) / bandwidth_km) ** 2) / 2)
        moved = weights @ points
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        settled = (_km_of_chord(np.linalg.norm(moved - modes, axis=1)) < 1e-3).all()
        modes = moved
        if settled:
            break
    return np.array(positions(modes[_leader(_km(modes, modes) < bandwidth_km)]))


def _leader(near: Array) -> int:
    """The first row of the largest group of rows that are near to its first."""
    free, best, most = np.ones(len(near), bool), 0, 0
    for row in range(len(near)):
        if free[row]:
            group = near[row] & free
            free &= ~group
            if int(group.sum()) > most:
                best, most = row, int(group.sum())
    return best


def _km(a: Array, b: Array) -> Array:
    """(A, B) kilometres between unit vectors."""
    return _km_of_chord(np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)))


def _km_of_chord(chords: Array) -> Array:
    km: Array = 2 * EARTH_KM * np.arcsin(np.minimum(chords / 2, 1.0))
    return km
