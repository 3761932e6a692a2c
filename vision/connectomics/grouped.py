"""Rows that share a pair of ids brought together: what tables that add up over blocks rest on.

Sorting one key of 64 bits is several times faster than sorting by two columns. Where the two ids do not fit into 64
bits side by side they are mixed into a key that almost never maps two pairs to one; it is checked, and such a batch is
sorted by both columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array

_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows brought together by pair.

    Args:
        order: (N,) rows, those of a pair side by side.
        starts: (K,) where each pair starts in `order`.
        place: (K,) which of those groups each pair of the result is.
        first, second: (K,) the pairs, sorted by first, then second.
    """

    order: Array
    starts: Array
    place: Array
    first: Array
    second: Array

    def __len__(self) -> int:
        return len(self.starts)

    def sizes(self) -> Array:
        """(K,) int64 rows of each pair."""
        return np.diff(self.starts, append=len(self.order))[self.place].astype(np.int64)

    def of_rows(self) -> Array:
        """(N,) the pair of each row."""
        found = np.empty(len(self.order), np.int64)
        ranks = np.empty(len(self), np.int64)
        ranks[self.place] = np.arange(len(self))
        found[self.order] = np.repeat(ranks, np.diff(self.starts, append=len(self.order)))
        return found

    def sums(self, values: Array) -> Array:
        """Sums (K, ...) of the rows (N, ...) of each pair; of integers, exact in any order."""
        return self._reduced(np.add, values)

    def least(self, values: Array) -> Array:
        return self._reduced(np.minimum, values)

    def most(self, values: Array) -> Array:
        return self._reduced(np.maximum, values)

    def _reduced(self, how: np.ufunc, values: Array) -> Array:
        if not len(self):
            return values[:0]
        return np.asarray(how.reduceat(values[self.order], self.starts, axis=0)[self.place])


def by_pair(first: Array, second: Array) -> Groups:
    """Group rows by (first, second), (N,) unsigned integers each."""
    keys, exact = _keys(first, second)
    order = np.argsort(keys)
    a, b = first[order], second[order]
    starts = run_starts(a, b)
    if exact:
        return Groups(order, starts, np.arange(len(starts)), a[starts], b[starts])
    if len(starts) != len(run_starts(keys[order])):  # two pairs share a key and may lie in a mixture
        order = np.lexsort((second, first))
        a, b = first[order], second[order]
        starts = run_starts(a, b)
    place = np.lexsort((b[starts], a[starts]))
    return Groups(order, starts, place, a[starts][place], b[starts][place])


def summed_by_pair(first: Array, second: Array, amounts: Array) -> tuple[Array, Array, Array]:
    """Distinct pairs (K,) uint64 each, sorted, and the sums (K,) int64 of amounts (N,) int64, not negative.

    Where a pair and its amount fit into 64 bits, those are sorted as they are, several times as fast as rows.
    """
    if not len(first):
        return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64)
    (a, base_a), (b, base_b) = _close(first), _close(second)
    wide_b, wide_n = int(b.max()).bit_length(), int(amounts.max()).bit_length()
    if int(a.max()).bit_length() + wide_b + wide_n > 64:
        groups = by_pair(first.astype(np.uint64), second.astype(np.uint64))
        return groups.first, groups.second, groups.sums(amounts)
    keys = ((a << np.uint64(wide_b)) | b) << np.uint64(wide_n) | amounts.astype(np.uint64)
    keys.sort()
    pairs = keys >> np.uint64(wide_n)
    starts = run_starts(pairs)
    sums = np.add.reduceat((keys & np.uint64((1 << wide_n) - 1)).astype(np.int64), starts)
    pairs = pairs[starts]
    a, b = pairs >> np.uint64(wide_b), pairs & np.uint64((1 << wide_b) - 1)
    return _far(a, base_a), _far(b, base_b), sums


def _close(ids: Array) -> tuple[Array, int]:
    """Ids moved down so that the least one other than 0 is 1, and by how much."""
    found = ids.astype(np.uint64)
    some = found[found != 0]
    base = int(some.min()) - 1 if len(some) else 0
    return np.where(found != 0, found - np.uint64(base), np.uint64(0)), base


def _far(ids: Array, base: int) -> Array:
    """The reverse of `_close`."""
    return np.where(ids != 0, ids + np.uint64(base), np.uint64(0))


def _keys(first: Array, second: Array) -> tuple[Array, bool]:
    """A key (N,) uint64 of each pair, and whether it sorts like the pair."""
    if not len(first):
        return np.empty(0, np.uint64), True
    low, base = int(second.min()), int(first.min())
    width, height = (int(second.max()) - low).bit_length(), (int(first.max()) - base).bit_length()
    a, b = first.astype(np.uint64), second.astype(np.uint64)
    if width + height <= 64 and width < 64:
        return ((a - np.uint64(base)) << np.uint64(width)) | (b - np.uint64(low)), True
    mixed = a * _MIX  # wraps on purpose
    return (mixed ^ (mixed >> np.uint64(29))) + b * (_MIX ^ np.uint64(0xD1B54A32D192ED03)), False


def run_starts(*columns: Array) -> Array:
    """Where runs begin in columns (N,) of equal length: rows that differ from the one before in any of them."""
    fresh = np.ones(len(columns[0]), bool)
    if len(fresh):
        np.not_equal(columns[0][1:], columns[0][:-1], out=fresh[1:])
    for column in columns[1:]:
        fresh[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(fresh)
