"""Cells that touch: across edges, round a corner, all round. Over an edge of the cube they are found through space."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.geolocation.s2 import level, lowest_bit, parent
from vision.geolocation.s2_curve import MAX_LEVEL, SIZE, coordinates, leaf_ids
from vision.geolocation.s2_geometry import corner
from vision.geolocation.s2_projection import face_uv, flat_leaf, vectors

_ROUND = ((-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0))


def edge_neighbours(ids: Array) -> Array:
    """(N, 4) uint64: the cells of the same level across the lower, right, upper and left edge."""
    return _beside(ids, ((0, -1), (1, 0), (0, 1), (-1, 0)))


def all_neighbours(ids: Array) -> Array:
    """(N, 8) uint64: the cells of the same level that share an edge or a corner.

    At a corner of the cube only three cells meet: there one of the eight is another's repetition, and at level 0, where
    a face has four neighbours, four are.
    """
    return _beside(ids, _ROUND)


def vertex_neighbours(ids: Array, at: int) -> Array:
    """(N, 4) uint64: the cells of a level round the corner that is nearest to each cell.

    Args:
        ids: cells finer than `at`.
        at: level 0..29.

    Returns:
        The parent first; 0 in the last place where three cells meet, at the corners of the cube.

    Raises:
        ValueError: if a cell is not finer than `at`.
    """
    if not 0 <= at < MAX_LEVEL or (level(ids) <= at).any():
        raise ValueError(f"cells must be finer than level {at}, which must be 0..{MAX_LEVEL - 1}")
    face, i, j = coordinates(ids)
    half = 1 << (MAX_LEVEL - at - 1)
    di, dj = (np.where(k & half, 2 * half, -2 * half) for k in (i, j))
    found = [parent(leaf, at) for leaf in (_leaf(face, i + di, j), _leaf(face, i, j + dj), _leaf(face, i + di, j + dj))]
    alone = ~(_inside(i + di) | _inside(j + dj))
    return np.stack([parent(ids, at), *found[:2], np.where(alone, np.uint64(0), found[2])], axis=-1)


def _beside(ids: Array, steps: tuple[tuple[int, int], ...]) -> Array:
    face, i, j, size = corner(ids)
    bit = lowest_bit(ids)
    leaves = np.stack([_leaf(face, i + di * size, j + dj * size) for di, dj in steps], axis=-1)
    return leaves & (~bit + np.uint64(1))[:, None] | bit[:, None]


def _inside(k: Array) -> Array:
    return (k >= 0) & (k < SIZE)


def _leaf(face: Array, i: Array, j: Array) -> Array:
    """(N,) uint64 leaf ids; coordinates past the edge of a face are followed to the next one.

    A point just over the edge, seen from the middle of the cube, lies on the face beside; the projection's curvature
    does not matter that near to an edge, and S2 leaves it out too.
    """
    over = ~(_inside(i) & _inside(j))
    if over.any():
        face, i, j = face.copy(), i.copy(), j.copy()
        u, v = (_past(k[over]) for k in (i, j))
        x, y, z = np.moveaxis(vectors(face[over], u, v), -1, 0)
        face[over], u, v = face_uv(x, y, z)
        i[over], j[over] = flat_leaf(u), flat_leaf(v)
    return leaf_ids(face, i, j)


def _past(k: Array) -> Array:
    """-1..1, or the next float outside, of the middle of a leaf at most one past the edge."""
    limit = 1 + np.finfo(np.float64).eps
    k = np.clip(k, -1, SIZE)
    return np.clip((2 * k + 1 - SIZE) / SIZE, -limit, limit)
