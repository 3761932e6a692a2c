"""Greedy agglomeration of a large graph in rounds: all pairs that are each other's best join at once.

A pooled mean never lies below the lower of the two it is made of, so a pair of sets that are each other's best stay so
whatever joins elsewhere: joining all such pairs at once gives the tree that joining the lowest edge of all, again and
again, would give. Rounds are arrays, five times as fast as a queue of Python objects in half its memory, and take most
of the joins; a large set with many small neighbours joins one a round, so what rounds leave over is for the queue. The
order of edges is by mean, then by the smallest row of the table of edges that they were pooled from.

Reference: Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983 (reciprocal nearest
neighbours); Lu et al., "Large-scale image segmentation based on distributed clustering algorithms", 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.connectomics.edges import Edges
from vision.connectomics.faces import UNIT
from vision.connectomics.grouped import by_pair

_FEW = 64  # rounds end when they join less than one in so many of the edges that could


class Joined(NamedTuple):
    """Joins, (M,) each: the boundary, the row of the edge (smallest that was pooled), and of where it is closest."""

    score: Array
    row: Array
    closest: Array


@dataclass(frozen=True, eq=False)
class Active:
    """The edges between the sets of now, (E,) each.

    Args:
        low, high: the two sets, by one of their nodes.
        count, total: of faces, and the sum of their values.
        row: smallest row of the table of edges that was pooled.
        closest: the row with the lowest mean.
    """

    low: Array
    high: Array
    count: Array
    total: Array
    row: Array
    closest: Array

    @classmethod
    def of(cls, nodes: Array, edges: Edges) -> Active:
        """As they are at first; `nodes` (E, 2)."""
        rows = np.arange(len(edges))
        low, high = nodes.min(axis=1, initial=2**62), nodes.max(axis=1, initial=0)
        return cls(low, high, edges.count, edges.total, rows, rows)

    @property
    def score(self) -> Array:
        """Mean boundary, 0..1."""
        return np.asarray(self.total / (self.count * UNIT))

    def some(self, rows: Array) -> Active:
        return Active(*(column[rows] for column in self.columns()))

    def columns(self) -> tuple[Array, ...]:
        return self.low, self.high, self.count, self.total, self.row, self.closest

    def best_of_both(self, count: int, highest: float) -> Array:
        """Booleans (E,): the best edge of both of its sets, and not above `highest`."""
        score = self.score
        lowest = np.full(count, np.inf)
        for end in (self.low, self.high):
            np.minimum.at(lowest, end, score)
        level = (score == lowest[self.low]), (score == lowest[self.high])
        first = np.full(count, 2**62)
        for end, at in zip((self.low, self.high), level, strict=True):
            np.minimum.at(first, end[at], self.row[at])
        found = level[0] & level[1] & (score <= highest)
        return np.asarray(found & (first[self.low] == self.row) & (first[self.high] == self.row))

    def joined(self, chosen: Array, count: int, mean: Array) -> Active:
        """Without the chosen edges, their two sets being one; edges that now lie between the same sets are pooled."""
        into, other = np.arange(count), self.some(~chosen)
        into[self.high[chosen]] = self.low[chosen]
        moved = np.zeros(count, bool)
        moved[self.low[chosen]] = moved[self.high[chosen]] = True
        touched = moved[other.low] | moved[other.high]
        still, changed = other.some(~touched), other.some(touched)
        a, b = into[changed.low], into[changed.high]
        groups = by_pair(np.minimum(a, b).astype(np.uint64), np.maximum(a, b).astype(np.uint64))
        near = np.lexsort((changed.closest, mean[changed.closest]))
        rank = np.argsort(near)
        pooled = Active(
            groups.first.astype(np.int64), groups.second.astype(np.int64), groups.sums(changed.count),
            groups.sums(changed.total), groups.least(changed.row), changed.closest[near][groups.least(rank)],
        )  # fmt: skip
        return Active(*(np.concatenate(pair) for pair in zip(still.columns(), pooled.columns(), strict=True)))


def in_rounds(count: int, active: Active, mean: Array, highest: float) -> tuple[list[Joined], Active]:
    """Join until a round is not worth it; the joins, and what is left.

    Args:
        count: of nodes.
        mean: (rows of the table,) boundary of each.
        highest: the score after which it ends.
    """
    found: list[Joined] = []
    while True:
        chosen = active.best_of_both(count, highest)
        joins = int(chosen.sum())
        if joins * _FEW < int((active.score <= highest).sum()) or not joins:
            return found, active
        found.append(Joined(active.score[chosen], active.row[chosen], active.closest[chosen]))
        active = active.joined(chosen, count, mean)
