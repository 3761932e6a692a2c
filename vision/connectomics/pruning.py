"""Trees thinned to the ways that matter, by the rule that made them: TEASAR once more, on a graph in place of voxels.

Where blocks cut a neurite lengthwise each half has a centreline of its own, and a spur leads to every voxel on which
neighbours agreed. From the node that is farthest from any, the way to the farthest node, near the middle, is kept; all
nodes near it are done with; and so on. What is left is as long as the centrelines of the whole.

Reference: Sato et al., "TEASAR", Pacific Graphics 2000.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.sets import smallest

_STEEP, _POWER = 100.0, 4.0
"""How much dearer a way is at the surface than in the middle."""


class Kept(NamedTuple):
    """Rows of nodes that stay, rising, and (E, 2) pairs of those rows."""

    nodes: Array
    links: Array


def thinned(places: Array, links: Array, radius: Array, scale: float, reach: float) -> Kept:
    """The ways of a graph that no other way stands for.

    Args:
        places: (N, 3) nm.
        links: (E, 2) int64 rows of them.
        radius: (N,) nm from the surface.
        scale, reach: a node is done with when it is within scale x radius + reach of a way.

    Returns:
        A tree for each piece of the graph: pieces stay pieces.
    """
    kept, pairs = [], []
    piece = smallest(len(places), links)
    for rows in _groups(piece):
        mine = links if len(rows) == len(places) else links[np.isin(links[:, 0], rows)]
        nodes, ways = _piece(places[rows], np.searchsorted(rows, mine), radius[rows], scale, reach)
        kept.append(rows[nodes])
        pairs.append(rows[ways])
    return Kept(np.sort(np.concatenate(kept)), np.concatenate(pairs)) if kept else Kept(piece, links)


def _groups(piece: Array) -> list[Array]:
    """Rows of each piece, rising."""
    order = np.argsort(piece, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(piece[order])) + 1) if len(piece) else []


def _piece(places: Array, links: Array, radius: Array, scale: float, reach: float) -> tuple[Array, Array]:
    """The same of one piece: rows that stay, and pairs of rows."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial import cKDTree

    count = len(places)
    length = np.linalg.norm(places[links[:, 0]] - places[links[:, 1]], axis=1)
    graph = csr_array((length, (links[:, 0], links[:, 1])), (count, count))
    root = int(np.argmax(dijkstra(graph, directed=False, indices=0)))
    far = dijkstra(graph, directed=False, indices=root)
    outward = 1 - np.minimum(radius[links[:, 0]], radius[links[:, 1]]) / (1.01 * max(float(radius.max()), 1e-9))
    dear = csr_array((length * (1 + _STEEP * outward**_POWER), (links[:, 0], links[:, 1])), (count, count))
    _, before = dijkstra(dear, directed=False, indices=root, return_predecessors=True)
    near, on_way, active = cKDTree(places), np.zeros(count, bool), np.ones(count, bool)
    on_way[root], pairs, way = True, list[tuple[int, int]](), [root]
    for target in np.argsort(-far, kind="stable").tolist():
        if way:
            done = near.query_ball_point(places[way], scale * radius[way] + reach)
            active[np.unique(np.concatenate(done).astype(np.int64))] = False
        way, node = [], target
        while active[target] and not on_way[node]:
            way.append(node)
            pairs.append((int(before[node]), node))
            node = int(before[node])
        on_way[way] = True
    return np.flatnonzero(on_way), np.array(pairs, np.int64).reshape(-1, 2)
