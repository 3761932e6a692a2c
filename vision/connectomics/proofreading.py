"""What a proofreader should look at first: likely splits to mend and likely mergers to cut, best first.

A split is a pair of segments that touch: the chance that they are one is 1 - their pooled boundary. A merger is a join
that the agglomeration made: the chance that it was wrong is the boundary at which it was made. What a decision can gain
is its chance times the voxels of the smaller side, and that is the order: a proofreader's time goes to large pieces.

Each correction is two fragments that touch, `join` or `cut`, and so means the same whatever ids segments have. Cutting
takes a join back; what was joined to the two sides later stays with the fragment it touches. Fragments, edges and
history stay as they are: any set of corrections is one new lookup table.

Reference: Haehn, Kaynig, Tompkin, Lichtman & Pfister, "Guided proofreading of automatic segmentations for
connectomics", CVPR 2018 (candidates ranked by a score, decided by yes or no).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.connectomics.agglomeration import Joins
from vision.connectomics.dendrogram import Dendrogram
from vision.connectomics.edges import Edges
from vision.connectomics.faces import UNIT
from vision.connectomics.grouped import by_pair
from vision.connectomics.relabel import Lookup
from vision.connectomics.unionfind import places
from vision.sets import smallest

Kind = Literal["join", "cut"]


class Correction(NamedTuple):
    """Two fragments that touch, to be one neuron or not."""

    kind: Kind
    first: int
    second: int


@dataclass(frozen=True, eq=False)
class Candidates:
    """Corrections to look at, best first.

    Args:
        is_cut: (K,) booleans; the others are joins.
        fragments: (K, 2) uint64, two that touch, the smaller id first.
        segments: (K, 2) uint64, their segments; the same twice for a cut.
        chance: (K,) that it is right, 0..1.
        voxels: (K,) int64 of the smaller side.
    """

    is_cut: Array
    fragments: Array
    segments: Array
    chance: Array
    voxels: Array

    def __len__(self) -> int:
        return len(self.chance)

    def correction(self, row: int) -> Correction:
        first, second = self.fragments[row].tolist()
        return Correction("cut" if self.is_cut[row] else "join", first, second)

    def best(self, most: int | None = None) -> Candidates:
        """The first `most` by what they can gain; ties go to the smaller fragments, joins before cuts."""
        order = np.lexsort((self.fragments[:, 1], self.fragments[:, 0], self.is_cut, -self.chance * self.voxels))[:most]
        return Candidates(*(column[order] for column in self.columns()))

    def columns(self) -> tuple[Array, ...]:
        return self.is_cut, self.fragments, self.segments, self.chance, self.voxels

    def and_(self, other: Candidates) -> Candidates:
        """Both, the others after these."""
        return Candidates(*(np.concatenate(pair) for pair in zip(self.columns(), other.columns(), strict=True)))


def splits(lookup: Lookup, edges: Edges, voxels: Array) -> Candidates:
    """Pairs of segments that touch, as joins of the two fragments with the lowest boundary between them.

    Args:
        lookup: fragment to segment.
        edges: of fragments, over the whole volume.
        voxels: (N,) int64 of each fragment of `lookup`.
    """
    segments, of_row = np.unique(lookup.values, return_inverse=True)
    size = np.bincount(of_row, voxels, len(segments)).astype(np.int64)  # exact below 2**53
    rows = of_row[places(lookup.ids, edges.pairs)]
    apart = np.flatnonzero(rows[:, 0] != rows[:, 1])
    low, high = rows[apart].min(axis=1, initial=len(segments)), rows[apart].max(axis=1, initial=-1)
    groups = by_pair(low.astype(np.uint64), high.astype(np.uint64))
    mean = groups.sums(edges.total[apart]) / (groups.sums(edges.count[apart]) * UNIT)
    ranked = np.lexsort((apart, edges.mean[apart], groups.of_rows()))
    first = ranked[np.searchsorted(groups.of_rows()[ranked], np.arange(len(groups)))]
    ends = np.stack([groups.first, groups.second], axis=1).astype(np.int64)
    return Candidates(
        np.zeros(len(groups), bool), edges.pairs[apart[first]], segments[ends], 1 - mean, size[ends].min(axis=1)
    )


def mergers(joins: Joins, threshold: float, voxels: Array, judged: Edges | None = None) -> Candidates:
    """The joins of an agglomeration up to a threshold, as cuts.

    Args:
        voxels: (N,) int64 of each fragment of `joins.ids`.
        judged: edges whose means say how sure a boundary is, in place of the one at which a join was made.
    """
    tree = Dendrogram.of(joins, threshold)
    count = len(tree.pairs)
    pairs = np.sort(joins.ids[tree.pairs], axis=1).reshape(count, 2)
    segment = joins.at(threshold).values[tree.pairs[:, 0]] if count else np.empty(0, np.uint64)
    sides = np.stack(tree.sums(voxels), axis=1)
    chance = joins.scores[:count] if judged is None else _across(joins, tree, judged)
    return Candidates(np.ones(count, bool), pairs, np.stack([segment, segment], axis=1), chance, sides.min(axis=1))


def _across(joins: Joins, tree: Dendrogram, edges: Edges) -> Array:
    """(M,) mean boundary of all that lies between the two sides of each join."""
    of = tree.joining(places(joins.ids, edges.pairs))
    made = of >= 0
    sums = [np.bincount(of[made], values[made], len(tree.pairs)) for values in (edges.total, edges.count)]
    return np.asarray(sums[0] / (sums[1] * UNIT))


def corrected(joins: Joins, threshold: float, corrections: list[Correction]) -> Lookup:
    """The table of a segmentation with corrections, in any order.

    Args:
        joins, threshold: of the segmentation that was looked at.

    Raises:
        ValueError: if a fragment is unknown, a cut is no join that was made, or a pair is to be both.
    """
    made = joins.pairs[: joins.taken(threshold)]
    asked = {kind: _rows(joins.ids, corrections, kind) for kind in ("join", "cut")}
    both = set(map(tuple, asked["join"].tolist())) & set(map(tuple, asked["cut"].tolist()))
    if both:
        raise ValueError(f"fragments {_named(joins.ids, next(iter(both)))} are to be joined and to be cut")
    place = {pair: row for row, pair in enumerate(map(tuple, np.sort(made, axis=1).tolist()))}
    kept = np.ones(len(made), bool)
    for pair in map(tuple, asked["cut"].tolist()):
        if pair not in place:
            raise ValueError(f"fragments {_named(joins.ids, pair)} were not joined, so they cannot be cut")
        kept[place[pair]] = False
    pairs = np.concatenate([made[kept], asked["join"]])
    return Lookup(joins.ids, joins.ids[smallest(len(joins.ids), pairs)])


def _rows(ids: Array, corrections: list[Correction], kind: str) -> Array:
    """(K, 2) rows of the fragments of one kind of correction, the smaller first."""
    pairs = [(c.first, c.second) for c in corrections if c.kind == kind]
    return np.sort(places(ids, np.array(pairs, np.uint64).reshape(-1, 2)), axis=1)


def _named(ids: Array, pair: tuple[int, ...]) -> str:
    return " and ".join(str(ids[row]) for row in pair)
