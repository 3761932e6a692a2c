"""The cube of S2: points of the sphere to faces and leaf coordinates, and back, by S2's quadratic projection.

Every step repeats the arithmetic of the published code up to exact rewritings, so ids are equal to the last bit: with
w = sqrt(1 + 3|u|) in 1..2, w - 1 and 2**29 + 2**29 (w - 1) are exact in floating point.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.geolocation.s2_curve import SIZE, leaf_ids

CHUNK = 8192
"""Points at a time: their temporaries stay in the core's own cache."""

_HALF = float(SIZE // 2)
_SIGN = np.uint64(1 << 63)
_RADIAN = np.pi / 180


def ids_of_degrees(latitude: Array, longitude: Array, into: Array) -> None:
    """Level-30 ids of positions, in chunks.

    Args:
        latitude, longitude: (N,) float64 degrees, finite.
        into: (N,) uint64 that gets the ids.
    """
    for start in range(0, len(into), CHUNK):
        part = slice(start, start + CHUNK)
        x, y, z = _vectors(latitude[part], longitude[part])
        face, u, v = face_uv(x, y, z)
        into[part] = leaf_ids(face, _leaf(u), _leaf(v))


def _vectors(latitude: Array, longitude: Array) -> tuple[Array, Array, Array]:
    phi, theta = latitude * _RADIAN, longitude * _RADIAN
    z, flat = np.sin(phi), np.cos(phi, out=phi)
    x, y = np.cos(theta), np.sin(theta, out=theta)
    x *= flat
    y *= flat
    return x, y, z


def face_uv(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """The face that a ray meets and where, -1..1; ties of the largest component go to the later axis.

    Returns:
        (N,) int64 face 0..5, (N,) u, (N,) v.
    """
    width, depth = np.abs(x), np.abs(y)
    on_x = width > depth
    np.maximum(width, depth, out=width)
    on_z = width <= np.abs(z)
    on_x &= ~on_z
    ahead = np.where(on_x, x, y)
    ahead = np.where(on_z, z, ahead)
    right, up = np.where(on_x, y, -x), np.where(on_z, -y, z)
    behind = ahead < 0
    u, v = np.where(behind, up, right), np.where(behind, right, up)
    u /= ahead
    v /= ahead
    face = 1 - on_x.view(np.int8) + on_z.view(np.int8) + 3 * behind.view(np.int8)
    return face.astype(np.int64), u, v


def _leaf(u: Array) -> Array:
    """(N,) int64: leaf coordinates 0..2**30 - 1 of -1..1, by the quadratic projection; `u` is used up."""
    sign = u.view(np.uint64) & _SIGN
    np.abs(u, out=u)
    u *= 3
    u += 1
    np.sqrt(u, out=u)
    u -= 1
    u *= _HALF
    bits = u.view(np.uint64)
    bits |= sign
    u += _HALF
    leaf = u.astype(np.int64)
    return np.minimum(leaf, SIZE - 1, out=leaf)


def flat_leaf(u: Array) -> Array:
    """(N,) int64: leaf coordinates of -1..1 without the projection, as S2 steps over the edge of a face."""
    leaf = np.floor(SIZE * (0.5 * (u + 1)))
    return np.clip(leaf, 0, SIZE - 1).astype(np.int64)


def uv(s: Array) -> Array:
    """Where 0..1 along a face's edge lies on the cube, -1..1."""
    s = np.asarray(s, np.float64)
    rest = 1 - s
    return np.where(s >= 0.5, (4 * s * s - 1) * (1 / 3), (1 - 4 * rest * rest) * (1 / 3))


def vectors(face: Array, u: Array, v: Array) -> Array:
    """(..., 3) points of the cube, not normalised.

    Args:
        face: (...) 0..5.
        u, v: (...) -1..1.
    """
    behind, axis = face > 2, face % 3
    ahead = np.where(behind, -1.0, 1.0)
    right, up = np.where(behind, v, u) * ahead, np.where(behind, u, v) * ahead
    x = np.where(axis == 0, ahead, -right)
    y = np.where(axis == 0, right, np.where(axis == 1, ahead, -up))
    return np.stack([x, y, np.where(axis == 2, ahead, up)], axis=-1)
