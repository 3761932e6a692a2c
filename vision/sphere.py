"""Degrees, kilometres and great circles: the Earth as a sphere of 6371 km, as papers on geolocation take it.

The radius, the sphere and the comparison with a distance move the last digit of published accuracies (the ellipsoid
is up to 0.56 % away), so all three are parameters where they matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from vision.accumulator import Array

EARTH_KM = 6371.0

PLACE = ("latitude", "longitude")
"""The columns of a position."""

FAULTS = (
    "none",
    "missing",
    "not a finite number",
    "latitude outside -90..90",
    "longitude outside -180..180",
    "exactly 0, 0",
)
"""Why a position cannot be where a photo was taken; what `faults` gives are places in this list."""


def faults(latitude: Array, longitude: Array, missing: Array | None = None) -> Array:
    """What is wrong with each position. Nothing is clamped or guessed.

    Args:
        latitude, longitude: (N,) degrees, with whatever a camera wrote.
        missing: (N,) bool, where there is none at all.

    Returns:
        (N,) int8 indices into `FAULTS`, 0 for a good position. Exactly 0, 0 in the sea off Ghana is what devices write
        that know nothing.

    >>> faults(np.array([48.8, np.nan, 213.6, 0.0]), np.array([2.3, 0.0, 5.0, -0.0])).tolist()
    [0, 2, 3, 5]
    """
    latitude, longitude = _pair(latitude, longitude)
    found = np.zeros(latitude.shape, np.int8)
    found[(latitude == 0) & (longitude == 0)] = 5
    found[np.abs(longitude) > 180] = 4
    found[np.abs(latitude) > 90] = 3
    found[~(np.isfinite(latitude) & np.isfinite(longitude))] = 2
    if missing is not None:
        found[missing] = 1
    return found


def places(rows: Any) -> Array:
    """(N, 2) latitude and longitude, degrees, of an Arrow table with columns of these names; nan where there is none.

    Raises:
        ValueError: if a column holds what is no number.
    """
    return np.stack([np.asarray(rows[name].cast("float64").to_numpy(), np.float64) for name in PLACE], axis=1)


def unit_vectors(latitude: Array, longitude: Array) -> Array:
    """Points of the unit sphere.

    Args:
        latitude, longitude: (N,) degrees.

    Returns:
        (N, 3) float64: x to 0 E on the equator, y to 90 E, z to the north pole.
    """
    phi, theta = (np.radians(degrees) for degrees in _pair(latitude, longitude))
    return np.stack([np.cos(theta) * np.cos(phi), np.sin(theta) * np.cos(phi), np.sin(phi)], axis=-1)


def positions(vectors: Array) -> tuple[Array, Array]:
    """The way back: vectors of any length to where they point.

    Args:
        vectors: (..., 3), none of them zero.

    Returns:
        latitude in -90..90 and longitude in -180..180, degrees, each (...).

    Raises:
        ValueError: if the last axis is not 3.
    """
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim == 0 or vectors.shape[-1] != 3:
        raise ValueError(f"vectors must be (..., 3), got {vectors.shape}")
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))


def great_circle_km(a: Array, b: Array, radius_km: float = EARTH_KM) -> Array:
    """Distance over the Earth's surface between pairs of places, by the haversine formula.

    Args:
        a, b: (N, 2) latitude and longitude, degrees.

    Returns:
        (N,) kilometres, on a sphere of `radius_km` (6371).

    Raises:
        ValueError: if either is not (N, 2).

    Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016.

    >>> great_circle_km(np.array([[0.0, 0.0]]), np.array([[0.0, 180.0]])).round(3).tolist()
    [20015.087]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    for name, places in (("a", a), ("b", b)):
        if places.ndim != 2 or places.shape[1] != 2:
            raise ValueError(f"{name} must be (N, 2), got {places.shape}")
    from_, to = np.radians(a), np.radians(b)
    half = np.sin((to - from_) / 2) ** 2  # (N, 2)
    h = half[:, 0] + np.cos(from_[:, 0]) * np.cos(to[:, 0]) * half[:, 1]
    distance: Array = 2 * radius_km * np.arcsin(np.minimum(1.0, np.sqrt(h)))
    return distance


def _pair(latitude: Array, longitude: Array) -> tuple[Array, Array]:
    latitude, longitude = np.asarray(latitude, np.float64), np.asarray(longitude, np.float64)
    if latitude.shape != longitude.shape:
        raise ValueError(f"latitudes and longitudes must be as many, got {latitude.shape} and {longitude.shape}")
    return latitude, longitude
