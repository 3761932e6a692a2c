"""Which ids are one: union-find over pairs, with the smallest id as root.

The root of a set and the consecutive number of a root depend only on the ids and the pairs as sets, so the order of
workers does not show.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.connectomics.relabel import Lookup
from vision.sets import smallest


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
