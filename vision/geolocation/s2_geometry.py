"""Cells as shapes: centres, corners and areas, on the unit sphere.

Corners agree with s2geometry to the last digits. Areas are more exact than its own for small cells: differences of
corners are formed before the projection, where they are exact, so that even a leaf's area keeps 15 digits.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.geolocation.s2 import lowest_bit
from vision.geolocation.s2_curve import SIZE, coordinates
from vision.geolocation.s2_projection import uv, vectors
from vision.sphere import EARTH_KM, positions


def centre(ids: Array) -> Array:
    """(N, 3) unit vectors: the middle of each cell in the coordinates in which S2 halves it."""
    face, i, j, size = corner(ids)
    places = [uv((2 * low + size) / (2.0 * SIZE)) for low in (i, j)]
    return _normalised(vectors(face, *places))


def centre_degrees(ids: Array) -> tuple[Array, Array]:
    """Latitude and longitude of centres, degrees, each (N,)."""
    return positions(centre(ids))


def vertices(ids: Array) -> Array:
    """(N, 4, 3) unit vectors: the corners of each cell, counterclockwise seen from outside."""
    face, i, j, size = corner(ids)
    left, low = uv(i / SIZE), uv(j / SIZE)
    right, high = uv((i + size) / SIZE), uv((j + size) / SIZE)
    u = np.stack([left, right, right, left], axis=-1)
    v = np.stack([low, low, high, high], axis=-1)
    return _normalised(vectors(face[:, None], u, v))


def area(ids: Array) -> Array:
    """(N,) steradians; the six faces have 4 pi together.

    A cell is two spherical triangles; each has tan(E/2) = det / (1 + ab + bc + ca) for unit corners a, b, c, and before
    they are normalised the determinant is the product of the cell's sides on the cube.

    Reference: van Oosterom & Strackee, "The solid angle of a plane triangle", IEEE Trans. Biomed. Eng. 1983.
    """
    _, i, j, size = corner(ids)
    sides = _side(i, size) * _side(j, size)
    low, high = (np.stack([uv(k / SIZE), uv((k + size) / SIZE)]) for k in (i, j))
    corners = [np.stack([np.ones(len(ids)), low[a], high[b]], axis=-1) for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]
    return _triangle(sides, *(corners[k] for k in (0, 1, 2))) + _triangle(sides, *(corners[k] for k in (0, 2, 3)))


def area_km2(ids: Array, radius_km: float = EARTH_KM) -> Array:
    """(N,) square kilometres on a sphere of `radius_km`."""
    return area(ids) * radius_km**2


def corner(ids: Array) -> tuple[Array, Array, Array, Array]:
    """Face, lowest i, lowest j and width of each cell, in leaf cells; each (N,) int64."""
    face, i, j = coordinates(ids)
    # A side has 2**k leaves and the cell's lowest bit is 2**2k: half its position, by counting.
    size = np.int64(1) << (np.bitwise_count(lowest_bit(ids) - np.uint64(1)) >> 1).astype(np.int64)
    return face, i & -size, j & -size, size


def _side(low: Array, size: Array) -> Array:
    """(N,) widths on the cube, exact before one rounding: no cell but a face lies on both sides of its middle."""
    both = 2 * low + size
    reach = np.where(2 * low >= SIZE, both, 2 * SIZE - both)
    whole = size == SIZE
    return np.where(whole, 2.0, 4 / 3 * (size / SIZE) * (reach / SIZE))


def _triangle(sides: Array, a: Array, b: Array, c: Array) -> Array:
    la, lb, lc = (np.sqrt((p * p).sum(axis=-1)) for p in (a, b, c))
    cosines = (a * b).sum(axis=-1) * lc + (b * c).sum(axis=-1) * la + (c * a).sum(axis=-1) * lb
    solid: Array = 2 * np.arctan2(sides, la * lb * lc + cosines)
    return solid


def _normalised(points: Array) -> Array:
    unit: Array = points / np.sqrt((points * points).sum(axis=-1, keepdims=True))
    return unit
