"""The tree of an agglomeration: what lay on both sides of each join, without a list for each.

Fragments are put in an order in which every set that ever was is a stretch, so sums over the two sides of all joins are
differences of one running sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.connectomics.agglomeration import Joins


@dataclass(frozen=True, eq=False)
class Dendrogram:
    """Joins up to a threshold.

    Args:
        pairs: (M, 2) int64 rows of fragments that touch, as in `Joins`.
        order: (N,) rows of fragments.
        begin, middle, end: (M,) the sides of each join are order[begin:middle] and order[middle:end].
    """

    pairs: Array
    order: Array
    begin: Array
    middle: Array
    end: Array

    @classmethod
    def of(cls, joins: Joins, threshold: float) -> Dendrogram:
        taken, count = joins.taken(threshold), len(joins.ids)
        pairs = joins.pairs[:taken]
        children = _children(pairs.tolist(), count)
        size = np.ones(count + taken, np.int64)
        for join, (left, right) in enumerate(children):
            size[count + join] = size[left] + size[right]
        begin = _begins(children, size, count)
        order = np.empty(count, np.int64)
        order[begin[:count]] = np.arange(count)
        middle = [begin[count + j] + size[left] for j, (left, _) in enumerate(children)]
        return cls(pairs, order, begin[count:], np.array(middle, np.int64).reshape(taken), begin[count:] + size[count:])

    def sums(self, values: Array) -> tuple[Array, Array]:
        """Sums (M,) of integers (N,) over the two sides of each join."""
        running = np.concatenate([[0], np.cumsum(values[self.order])])
        return running[self.middle] - running[self.begin], running[self.end] - running[self.middle]

    def joining(self, pairs: Array) -> Array:
        """(E,) the join that made the fragments of each pair (E, 2), by row, one; -1 for those that it left apart."""
        count, joins = len(self.order), len(self.pairs)
        place = np.empty(count, np.int64)
        place[self.order] = np.arange(count)
        # What parts neighbours in the order; of all between two fragments the latest join made them one.
        between = np.full(max(count - 1, 0), joins)
        between[self.middle - 1] = np.arange(joins)
        ends = np.sort(place[pairs].reshape(-1, 2), axis=1)
        found = _largest(between, ends[:, 0], ends[:, 1])
        return np.where(found < joins, found, -1)

    def sides(self, join: int) -> tuple[Array, Array]:
        """Rows of the fragments on the two sides of a join."""
        begin, middle, end = self.begin[join], self.middle[join], self.end[join]
        return self.order[begin:middle], self.order[middle:end]


def _children(pairs: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The two sets of each join: a fragment's row, or `count` + an earlier join."""
    above, found = list(range(2 * count)), []
    for join, pair in enumerate(pairs):
        sides = [_root(above, row) for row in pair]
        found.append((sides[0], sides[1]))
        above[sides[0]] = above[sides[1]] = count + join
    return found


def _root(above: list[int], node: int) -> int:
    """The set that a node is in; ways are halved as they are walked."""
    while above[node] != node:
        above[node] = above[above[node]]
        node = above[node]
    return node


def _begins(children: list[tuple[int, int]], size: Array, count: int) -> Array:
    """Where each set's stretch begins; roots side by side, then every join tells its two."""
    inner = {side for pair in children for side in pair}
    begin, at = np.zeros(len(size), np.int64), 0
    for node in range(len(size)):
        if node not in inner:
            begin[node] = at
            at += size[node]
    for join in range(len(children) - 1, -1, -1):
        left, right = children[join]
        begin[left] = begin[count + join]
        begin[right] = begin[left] + size[left]
    return begin


def _largest(values: Array, begin: Array, end: Array) -> Array:
    """The largest of values[begin:end] for each of many stretches, none of them empty.

    Each is two stretches of a power of two that overlap, and the largest of all those are known beforehand.
    """
    found, level = np.zeros(len(begin), np.int64), 0
    largest = values
    while len(begin) and 1 << level <= len(values):
        wide = 1 << level
        mine = (end - begin >= wide) & (end - begin < 2 * wide)
        found[mine] = np.maximum(largest[begin[mine]], largest[end[mine] - wide])
        largest = np.maximum(largest[:-wide], largest[wide:]) if len(largest) > wide else largest
        level += 1
    return found
