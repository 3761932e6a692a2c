"""The Hilbert curve of S2: a cube's face and leaf coordinates to 64-bit ids, and back.

An id is face (3 bits), position along the face's curve (60 bits), and a 1. The curve is walked six levels at a time
through tables of 16,384 entries made from S2's published 2 x 2 rules, so an id takes five look-ups.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array

MAX_LEVEL = 30
SIZE = 1 << MAX_LEVEL
"""Leaf cells along an edge of a face."""

_POSITION_TO_IJ = ((0, 1, 3, 2), (0, 2, 3, 1), (3, 2, 0, 1), (3, 1, 0, 2))
_TURNS = (1, 0, 0, 3)
"""The quarter (2i + j) at each step of the curve in each of four orientations, and how each step turns it."""

_STEP = 6
_SHIFTS = tuple(range(MAX_LEVEL - _STEP, -1, -_STEP))
_BITS = (1 << _STEP) - 1


def _tables() -> tuple[Array, Array]:
    """(16384,) int64 twice: i | j | orientation to position | orientation, and the way back; 6, 6 and 2 bits."""
    rows = np.arange(1 << (2 * _STEP + 2))
    orientation, position = rows & 3, rows >> 2
    i, j = np.zeros_like(rows), np.zeros_like(rows)
    quarters, turns = np.array(_POSITION_TO_IJ), np.array(_TURNS)
    for level in range(_STEP - 1, -1, -1):
        step = position >> (2 * level) & 3
        quarter = quarters[orientation, step]
        i, j = i << 1 | quarter >> 1, j << 1 | quarter & 1
        orientation = orientation ^ turns[step]
    to_ij = i << (_STEP + 2) | j << 2 | orientation
    to_position = np.empty_like(rows)
    to_position[i << (_STEP + 2) | j << 2 | rows & 3] = position << 2 | orientation
    return to_position, to_ij


_TO_POSITION, _TO_IJ = _tables()


def leaf_ids(face: Array, i: Array, j: Array) -> Array:
    """(N,) uint64 level-30 ids of leaf cells.

    Args:
        face: (N,) int64 0..5.
        i, j: (N,) int64 0..2**30 - 1.
    """
    i, j = i << (_STEP + 2), j << 2  # where the table wants them after the last shift
    orientation, position = face & 1, face
    for shift in _SHIFTS:
        index = i >> shift
        index &= _BITS << (_STEP + 2)
        other = j >> shift
        other &= _BITS << 2
        index |= other
        index |= orientation
        found = _TO_POSITION.take(index, mode="wrap")
        orientation = found & 3
        found >>= 2
        position = position << 2 * _STEP
        position |= found
    position <<= 1
    position |= 1
    ids: Array = position.view(np.uint64)
    return ids


def coordinates(ids: Array) -> tuple[Array, Array, Array]:
    """Face, i and j of a leaf cell inside each cell: of the cell itself at level 30.

    Args:
        ids: (N,) uint64.

    Returns:
        (N,) int64 three times.
    """
    face = (ids >> 61).astype(np.int64)
    position = (ids << 1).view(np.int64)  # two bits left for the orientation
    orientation = face & 1
    i, j = np.zeros_like(face), np.zeros_like(face)
    for shift in _SHIFTS:
        index = position >> 2 * shift
        index &= (1 << 2 * _STEP + 2) - 4
        index |= orientation
        found = _TO_IJ.take(index, mode="wrap")
        orientation = found & 3
        i <<= _STEP
        j <<= _STEP
        j |= found >> 2 & _BITS
        found >>= _STEP + 2
        i |= found
    return face, i, j
