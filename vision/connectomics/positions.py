"""Where in the volume two fragments touch, so that a proofreader can be shown the place."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import Zyx
from vision.connectomics.grouped import by_pair

NOWHERE = -1


def touching_at(labels: Array, origin: Zyx, pairs: Array) -> Array:
    """The first voxel, in (z, y, x) order, at which each pair touches.

    Read a block with one more voxel below it on each axis, so that its lower faces are seen.

    Args:
        labels: (Z, Y, X) fragments, the first voxel at `origin` of the volume.
        pairs: (K, 2) uint64, the smaller id first.

    Returns:
        (K, 3) int64 voxels of the volume, the lower of the two that face each other; -1 where a pair does not touch.
    """
    first, second, at = [], [], []
    places = np.arange(labels.size).reshape(labels.shape)
    for axis in range(3):
        low, high = (
            np.take(labels, range(labels.shape[axis] - 1), axis),
            np.take(labels, range(1, labels.shape[axis]), axis),
        )
        apart = (low != high) & np.isin(low, pairs) & np.isin(high, pairs)
        first.append(np.minimum(low, high)[apart].astype(np.uint64))
        second.append(np.maximum(low, high)[apart].astype(np.uint64))
        at.append(np.take(places, range(labels.shape[axis] - 1), axis)[apart])
    # The wanted pairs take part with a place after all others, so that each has a group.
    groups = by_pair(np.concatenate([*first, pairs[:, 0]]), np.concatenate([*second, pairs[:, 1]]))
    last = np.full(len(pairs), labels.size)
    place = groups.least(np.concatenate([*at, last]))[groups.of_rows()[len(groups.order) - len(pairs) :]]
    found = np.stack(np.unravel_index(np.minimum(place, labels.size - 1), labels.shape), axis=1) + np.array(origin)
    return np.where((place < labels.size)[:, None], found, NOWHERE).astype(np.int64)


def first_of(a: Array, b: Array) -> Array:
    """Of two blocks' answers (K, 3), the first voxel of each pair."""
    later = np.zeros(len(a), bool)
    level = np.ones(len(a), bool)
    for axis in range(3):
        later |= level & (a[:, axis] > b[:, axis])
        level &= a[:, axis] == b[:, axis]
    use_b = (a[:, 0] == NOWHERE) | (later & (b[:, 0] != NOWHERE))
    return np.where(use_b[:, None], b, a)
