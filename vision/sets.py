"""Which nodes are one: sets from pairs, by SciPy's connected components; 10^8 pairs on one machine."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array


def smallest(count: int, pairs: Array) -> Array:
    """The smallest member of each node's set, for nodes 0..count - 1 and pairs (M, 2) of them; (count,) int64.

    >>> smallest(4, np.array([[3, 1]])).tolist()
    [0, 1, 2, 1]
    """
    if not len(pairs):
        return np.arange(count)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (count, count))
    sets, of_node = connected_components(graph, directed=False)
    least = np.full(sets, count, np.int64)
    np.minimum.at(least, of_node, np.arange(count))
    return np.asarray(least[of_node])
