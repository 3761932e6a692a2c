"""The priority queue of a greedy agglomeration: always the lowest edge of the graph as it is now.

Entries that are out of date stay in the heap until they come up. The node with more neighbours swallows the other, so
that an edge moves at most log2 N times. Of edges with equal scores the one that holds the smallest row of the table of
edges goes first, which does not depend on who swallowed whom. A million edges take some ten seconds and half a GB.
"""

from __future__ import annotations

import heapq

import numpy as np

from vision.accumulator import Array
from vision.connectomics.faces import UNIT
from vision.connectomics.rounds import Active, Joined


class Pool:
    """What lies between two sets, by edge, for scores that are means; and where they are closest."""

    def __init__(self, active: Active, mean: Array) -> None:
        self.count: list[int] = active.count.tolist()
        self.total: list[int] = active.total.tolist()
        self.closest: list[tuple[float, int]] = list(
            zip(mean[active.closest].tolist(), active.closest.tolist(), strict=True)
        )

    def score(self, edge: int) -> float:
        """Mean boundary, 0..1."""
        return self.total[edge] / (UNIT * self.count[edge])

    def add(self, kept: int, gone: int) -> None:
        self.count[kept] += self.count[gone]
        self.total[kept] += self.total[gone]
        self.closest[kept] = min(self.closest[kept], self.closest[gone])


class Quantiles(Pool):
    """The same for scores that are a quantile of the faces' values."""

    def __init__(self, active: Active, mean: Array, histogram: Array, quantile: float) -> None:
        super().__init__(active, mean)
        self.histogram, self.quantile = histogram.copy(), quantile

    def score(self, edge: int) -> float:
        """Middle of the bin that holds the quantile, 0..1."""
        filled = np.cumsum(self.histogram[edge])
        place = int(np.searchsorted(filled, max(1, np.ceil(self.quantile * filled[-1]))))
        return (place + 0.5) / len(filled)

    def add(self, kept: int, gone: int) -> None:
        super().add(kept, gone)
        self.histogram[kept] += self.histogram[gone]


def in_order(count: int, active: Active, pool: Pool, highest: float) -> Joined:
    """All joins up to a score, the lowest first.

    Args:
        count: of nodes.
        active: edges with rising `row`; each pair once.
        pool: of the same edges.
        highest: the score after which it ends, 0..1.
    """
    around: list[dict[int, int]] = [{} for _ in range(count)]  # neighbour to edge
    ends: list[tuple[int, int]] = list(zip(active.low.tolist(), active.high.tolist(), strict=True))
    for edge, (u, v) in enumerate(ends):
        around[u][v] = around[v][u] = edge
    version = [0] * len(ends)
    heap = [(score, edge, 0) for edge in range(len(ends)) if (score := pool.score(edge)) <= highest]
    heapq.heapify(heap)
    found: list[tuple[float, int, int]] = []
    while heap:
        score, edge, made = heapq.heappop(heap)
        if version[edge] != made:
            continue
        found.append((score, edge, pool.closest[edge][1]))
        for changed in _swallow(edge, around, ends, version, pool):
            if (value := pool.score(changed)) <= highest:
                heapq.heappush(heap, (value, changed, version[changed]))
    scores, chosen, closest = zip(*found, strict=True) if found else ((), (), ())
    row = active.row[np.array(chosen, np.int64)]
    return Joined(np.array(scores, np.float64), row, np.array(closest, np.int64))


def _swallow(
    edge: int, around: list[dict[int, int]], ends: list[tuple[int, int]], version: list[int], pool: Pool
) -> list[int]:
    """Contract an edge; returns the edges that were pooled from two and need a new score."""
    keeper, gone = ends[edge] if len(around[ends[edge][0]]) >= len(around[ends[edge][1]]) else ends[edge][::-1]
    version[edge] = -1
    del around[keeper][gone], around[gone][keeper]
    changed = []
    for third, theirs in around[gone].items():
        del around[third][gone]
        kept, ours = theirs, around[keeper].get(third)
        if ours is not None:
            kept, lost = min(ours, theirs), max(ours, theirs)
            pool.add(kept, lost)
            version[kept], version[lost] = version[kept] + 1, -1
            changed.append(kept)
        ends[kept] = (keeper, third)
        around[keeper][third] = around[third][keeper] = kept
    around[gone] = {}
    return changed
