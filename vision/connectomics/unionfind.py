"""Which ids are one: union-find over pairs, with the smallest id as root.

The root of a set and the consecutive number of a root depend only on the ids and the pairs as sets, so the order of
workers does not show.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.connectomics.grouped import by_pair
from vision.connectomics.relabel import Lookup
from vision.sets import smallest

_AT_ONCE = 1 << 18
"""Edges that are gathered before a forest is thinned out."""


class Forest:
    """Sets at several levels, from edges that come in parts: of all edges so far only a spanning forest is held.

    An edge joins its nodes at its level and every higher one. Of edges that close a ring the highest changes no set at
    any level, so a minimum spanning forest, of fewer edges than nodes, says as much as all edges.

    Args:
        count: of nodes, which are 0..count - 1.

    Reference: Gower & Ross, "Minimum spanning trees and single linkage cluster analysis", 1969.
    """

    def __init__(self, count: int) -> None:
        self._count, self._kind = count, np.int32 if count < 2**31 else np.int64
        self._pairs, self._levels = np.empty((0, 2), self._kind), np.empty(0, np.uint16)
        self._waiting: list[tuple[Array, Array]] = []

    def add(self, pairs: Array, levels: Array) -> None:
        """Edges (M, 2) of nodes, and the level (M,) of each, 0..65,534."""
        self._waiting.append((pairs.astype(self._kind), levels.astype(np.uint16)))
        if sum(len(one) for _, one in self._waiting) > max(self._count // 2, _AT_ONCE):
            self._thin()

    def sets(self, level: int) -> Array:
        """The smallest node of each node's set, for edges up to a level; (count,) int64."""
        self._thin()
        return smallest(self._count, self._pairs[self._levels <= level])

    def _thin(self) -> None:
        """Take in what waits, and leave out what closes rings."""
        if not self._waiting:
            return
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import minimum_spanning_tree

        pairs = np.concatenate([self._pairs, *(pair for pair, _ in self._waiting)])
        levels = np.concatenate([self._levels, *(level for _, level in self._waiting)])
        self._waiting = []
        pairs, levels = _lowest(pairs, levels)
        # A weight of 0 would be no edge.
        weights = levels.astype(np.float64) + 1
        tree = minimum_spanning_tree(coo_array((weights, pairs.T), (self._count, self._count)), overwrite=True).tocoo()
        self._pairs = np.stack(tree.coords, axis=1).astype(self._kind)
        self._levels = (tree.data - 1).astype(np.uint16)


def _lowest(pairs: Array, levels: Array) -> tuple[Array, Array]:
    """Each pair once, with its lowest level; pairs of one node are left out."""
    low, high = pairs.min(axis=1, initial=np.iinfo(pairs.dtype).max), pairs.max(axis=1, initial=0)
    groups = by_pair(low.astype(np.uint64), high.astype(np.uint64))
    apart = groups.first != groups.second
    return np.stack([groups.first, groups.second], axis=1)[apart].astype(pairs.dtype), groups.least(levels)[apart]


def joined(ids: Array, pairs: Array) -> Lookup:
    """The root of each id: the smallest id of its set.

    Args:
        ids: (N,) uint64, any order, each once, none 0.
        pairs: (M, 2) uint64 of ids that are one, in any order, repeats allowed.

    Raises:
        ValueError: if a pair holds an id that is not among `ids`, or pairs are not (M, 2).
    """
    pairs = np.asarray(pairs, np.uint64)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs must be (M, 2), got {pairs.shape}")
    nodes = np.sort(np.asarray(ids, np.uint64))
    return Lookup.of(nodes, nodes[smallest(len(nodes), places(nodes, pairs))])


def places(nodes: Array, ids: Array) -> Array:
    """Row numbers of `ids` (any shape) in the sorted `nodes` (N,).

    Raises:
        ValueError: if one is not there.
    """
    rows = np.searchsorted(nodes, ids)
    known = rows < len(nodes)
    known[known] = nodes[rows[known]] == ids[known]
    if not known.all():
        raise ValueError(f"id {int(ids[~known][0])} is not among the {len(nodes)} ids that were given")
    return rows


def consecutive(lookup: Lookup) -> Lookup:
    """The same sets numbered 1, 2, ... in the order of their values."""
    _, dense = np.unique(lookup.values, return_inverse=True)
    return Lookup(lookup.ids, dense.astype(np.uint64) + np.uint64(1))
