"""The best few of many, without sorting them all."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array


def lowest(values: Array, k: int) -> Array:
    """(B, k) columns of the k lowest of each row of (B, N) values, by column; of equal values the first columns."""
    edge = np.partition(values, k - 1, axis=1)[:, k - 1 : k]
    below, level = values < edge, values == edge
    wanted = k - below.sum(axis=1, keepdims=True)
    chosen = below | (level & (level.cumsum(axis=1) <= wanted))
    return np.nonzero(chosen)[1].reshape(len(values), k)


def highest(values: Array, k: int) -> Array:
    """(B, k) columns of the k highest of each row of (B, N) values, highest first; of equal values the first column.

    >>> highest(np.array([[1.0, 3.0, 2.0, 3.0]]), 3).tolist()
    [[1, 3, 2]]
    """
    found = lowest(-values, k)
    order = np.argsort(-np.take_along_axis(values, found, axis=1), axis=1, kind="stable")
    best: Array = np.take_along_axis(found, order, axis=1)
    return best
