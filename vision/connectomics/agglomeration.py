"""Fragments joined into neurons on the graph of the whole volume; a threshold costs a lookup table.

Two ways. By threshold: every edge whose mean boundary is low enough joins, one union-find; exact and cheap, but one
bad edge joins two neurons. Greedy: the lowest edge of all joins, the statistics of its two fragments' edges to third
ones are added up, and so on until the lowest is above the threshold. Because integer statistics of the whole volume are
pooled, neither depends on blocks; ties go to the smaller ids. Thresholds are mean boundary, 0..1: what waterz calls
1 - affinity. A pooled mean never lies below the lower of the two it came from, so scores of joins never fall, and the
first part of one history is the answer for every threshold of a sweep.

Reference: Funke et al., PAMI 2019 (pooled mean and quantiles); Lu et al. 2021, "Large-scale image segmentation based on
distributed clustering algorithms" (why the mean is reducible).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.connectomics.edges import Edges
from vision.connectomics.queue import Pool, Quantiles, in_order
from vision.connectomics.relabel import Lookup
from vision.connectomics.rounds import Active, Joined, in_rounds
from vision.connectomics.unionfind import Forest, joined, places
from vision.sets import smallest


def by_threshold(ids: Array, edges: Edges, thresholds: Sequence[float]) -> list[Lookup]:
    """Join all fragments whose edge has a mean boundary of at most each threshold.

    Args:
        ids: (N,) uint64, every fragment.
        edges: of the whole volume.
        thresholds: 0..1, any order.

    Returns:
        A table for each threshold: fragment to the smallest id of its segment.
    """
    return list(in_parts(ids, [edges], thresholds))


def in_parts(ids: Array, parts: Iterable[Edges], thresholds: Sequence[float]) -> Iterator[Lookup]:
    """The same from edges that come in parts and are not kept: memory by the fragment, some 100 bytes, not the edge.

    Args:
        ids, thresholds: as above; tables come in the order of the thresholds.
        parts: of the volume; a pair of fragments is in one of them only, with all its faces.
    """
    nodes, levels = np.sort(np.asarray(ids, np.uint64)), np.unique(thresholds)
    forest = Forest(len(nodes))
    for part in parts:
        level = np.searchsorted(levels, part.mean)  # the first threshold that an edge is not above
        low = level < len(levels)
        forest.add(places(nodes, part.pairs[low]), level[low])
    for threshold in thresholds:
        yield Lookup(nodes, nodes[forest.sets(int(np.searchsorted(levels, threshold)))])


@dataclass(frozen=True, eq=False)
class Joins:
    """The history of a greedy agglomeration.

    Args:
        ids: (N,) uint64, every fragment, rising.
        pairs: (M, 2) int64 rows of `ids`: of the two sets that joined, in order, the two fragments that touch with
            the lowest boundary.
        scores: (M,) the boundary at which they did, never falling.
    """

    ids: Array
    pairs: Array
    scores: Array

    def at(self, threshold: float) -> Lookup:
        """Fragment to the smallest id of its segment, for joins up to `threshold`."""
        return Lookup(self.ids, self.ids[smallest(len(self.ids), self.pairs[: self.taken(threshold)])])

    def taken(self, threshold: float) -> int:
        """How many joins there are up to `threshold`."""
        return int(np.searchsorted(self.scores, threshold, side="right"))


def greedy(ids: Array, edges: Edges, highest: float = 1.0, quantile: float | None = None) -> Joins:
    """Join the pair with the lowest boundary, pool, and again, until `highest` is passed.

    A million edges take 2 (up to 0.3) to 12 seconds (all), and 300 bytes an edge at their peak; quantiles ten times as
    long.

    Args:
        ids: (N,) uint64, every fragment.
        edges: of the whole volume; with a histogram if `quantile` is asked for.
        highest: the largest threshold that will be asked for.
        quantile: 0..1 of the faces' values instead of their mean. Quantiles are not reducible: a score may then lie
            below an earlier one, and a join counts at the highest score up to it.

    Raises:
        ValueError: if an edge has an unknown id, or a quantile is asked of edges without histograms.
    """
    if quantile is not None and (not edges.bins or not 0 <= quantile <= 1):
        raise ValueError(f"quantile must be in 0..1 of edges with histograms, got {quantile} of {edges.bins} bins")
    nodes = np.sort(np.asarray(ids, np.uint64))
    rows = places(nodes, edges.pairs)
    active, mean = Active.of(rows, edges), edges.mean
    if quantile is not None:
        found = in_order(len(nodes), active, Quantiles(active, mean, edges.histogram, quantile), highest)
        return Joins(nodes, rows[found.closest], np.maximum.accumulate(found.score))
    parts, left = in_rounds(len(nodes), active, mean, highest)
    if not parts or (left.score <= highest).any():
        left = left.some(np.argsort(left.row))
        parts.append(in_order(len(nodes), left, Pool(left, mean), highest))
    found = Joined(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    order = np.lexsort((found.row, found.score))
    return Joins(nodes, rows[found.closest[order]], found.score[order])


def without_small(lookup: Lookup, sizes: Array, edges: Edges, least: int) -> Lookup:
    """Segments of fewer than `least` voxels join the neighbour with the lowest pooled boundary; one round.

    A small segment joins only across its best edge, small ones that choose each other included; one that touches
    nothing stays. Ties go to the smaller id.

    Args:
        sizes: (N,) int64 voxels of the fragments `lookup.ids`.
    """
    segments, of_row = np.unique(lookup.values, return_inverse=True)
    voxels = np.zeros(len(segments), np.int64)
    np.add.at(voxels, of_row, sizes)
    best = _best(segments, places(segments, lookup._values(edges.pairs.reshape(-1)).reshape(-1, 2)), edges)
    small = np.flatnonzero((voxels < least) & (best >= 0))
    return lookup.then(joined(segments, segments[np.stack([small, best[small]], axis=1)]))


def _best(segments: Array, rows: Array, edges: Edges) -> Array:
    """The neighbour of each segment behind its lowest pooled boundary, -1 for none; (S,) int64."""
    between = rows[:, 0] != rows[:, 1]
    pooled = Edges.added([_renamed(edges, segments[rows], between)])
    ends = places(segments, pooled.pairs)
    source, target = np.concatenate([ends[:, 0], ends[:, 1]]), np.concatenate([ends[:, 1], ends[:, 0]])
    order = np.lexsort((target, np.tile(pooled.mean, 2), source))
    best = np.full(len(segments), -1, np.int64)
    first = np.unique(source[order], return_index=True)[1] if len(order) else order
    best[source[order][first]] = target[order][first]
    return best


def _renamed(edges: Edges, pairs: Array, kept: Array) -> Edges:
    """The edges `kept` under other names, for their means; not yet pooled."""
    return Edges(np.sort(pairs[kept], axis=1), edges.count[kept], edges.total[kept])
