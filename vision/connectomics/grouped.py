"""Rows that share a pair of ids brought together: what tables that add up over blocks rest on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vision.accumulator import Array


class Groups(NamedTuple):
    """Rows sorted by pair: `order` (N,), where each pair `starts` in it (K,), and the pairs `first`, `second` (K,)."""

    order: Array
    starts: Array
    first: Array
    second: Array

    def sums(self, values: Array) -> Array:
        """Sums (K, ...) of the rows (N, ...) of each pair; of integers, exact in any order."""
        return np.add.reduceat(values[self.order], self.starts, axis=0) if len(self.starts) else values[:0]

    def least(self, values: Array) -> Array:
        return np.minimum.reduceat(values[self.order], self.starts) if len(self.starts) else values[:0]

    def most(self, values: Array) -> Array:
        return np.maximum.reduceat(values[self.order], self.starts) if len(self.starts) else values[:0]


def by_pair(first: Array, second: Array) -> Groups:
    """Group rows by (first, second), (N,) unsigned integers each; the pairs come sorted by first, then second."""
    order = sorting(first, second)
    a, b = first[order], second[order]
    starts = run_starts(a, b)
    return Groups(order, starts, a[starts], b[starts])


def sorting(first: Array, second: Array) -> Array:
    """The order that sorts pairs; as one key where both fit into 64 bits side by side, which is many times faster."""
    if not len(first):
        return np.empty(0, np.int64)
    low, width = int(second.min()), (int(second.max()) - int(second.min())).bit_length()
    base, height = int(first.min()), (int(first.max()) - int(first.min())).bit_length()
    if width + height > 64:
        return np.lexsort((second, first))
    keys = (first.astype(np.uint64) - np.uint64(base)) << np.uint64(width)
    keys |= second.astype(np.uint64) - np.uint64(low)
    return np.argsort(keys, kind="stable")


def run_starts(*columns: Array) -> Array:
    """Where runs begin in columns (N,) of equal length: rows that differ from the one before in any of them."""
    fresh = np.ones(len(columns[0]), bool)
    if len(fresh):
        np.not_equal(columns[0][1:], columns[0][:-1], out=fresh[1:])
    for column in columns[1:]:
        fresh[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(fresh)
