"""The graph of fragments at rest: Parquet files of nodes and edges, one for each group of blocks, that add up.

A row is an edge between the fragments u < v: faces, their sum and sum of squares (0..510 each), least and most. A row
with u = v is a fragment, and its count its voxels. The files of all groups together are the graph; a fragment or edge
may be in several, and is then their sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.segmenting import rows
from vision.accumulator import Array
from vision.connectomics.edges import Edges
from vision.connectomics.grouped import by_pair

_SUMS = ("count", "total", "squares")
_NAMES = (*_SUMS, "least", "most")
KEPT = (*_NAMES, "histogram")
MEANS = ("count", "total")
"""What agglomeration by means needs of an edge: 32 bytes with its pair, of 56."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Fragments and what lies between them.

    Attributes:
        ids: (N,) uint64, rising; sizes: (N,) int64 voxels.
        edges: pairs of `ids`.
    """

    ids: Array
    sizes: Array
    edges: Edges

    @classmethod
    def added(cls, parts: Iterable[Graph]) -> Graph:
        """The graph of disjoint parts of a volume together."""
        kept = list(parts)
        ids = np.concatenate([part.ids for part in kept] or [np.empty(0, np.uint64)])
        sizes = np.concatenate([part.sizes for part in kept] or [np.empty(0, np.int64)])
        groups = by_pair(ids, ids)
        return cls(groups.first, groups.sums(sizes), Edges.added(part.edges for part in kept))

    def to_parquet(self) -> bytes:
        """The file of a group."""
        edges = self.edges
        loops = np.zeros(len(self.ids), np.int64)
        columns = {
            "u": np.concatenate([self.ids, edges.pairs[:, 0]]),
            "v": np.concatenate([self.ids, edges.pairs[:, 1]]),
            "count": np.concatenate([self.sizes, edges.count]),
            **{name: np.concatenate([loops, getattr(edges, name)]) for name in _NAMES[1:]},
        }
        if edges.bins:
            counts = np.concatenate([np.zeros((len(self.ids), edges.bins), np.int64), edges.histogram]).reshape(-1)
            columns["histogram"] = pa.FixedSizeListArray.from_arrays(pa.array(counts), edges.bins)
        return rows.packed(columns)


def read(url: str, kept: Sequence[str] = KEPT) -> Graph:
    """The graph in one file.

    Args:
        kept: columns of edges that are wanted; see `Edges` for those that may be left out.

    Raises:
        JobFailed: if it is missing or damaged.
    """
    known = None if kept == KEPT else ["u", "v", *kept]
    table = rows.read(url, known)
    u, v = table["u"].to_numpy(), table["v"].to_numpy()
    loop = u == v
    found = {name: table[name].to_numpy() for name in _NAMES if name in kept}
    histogram = np.empty((int((~loop).sum()), 0), np.int64)
    if "histogram" in table.column_names:
        flat = table["histogram"].combine_chunks().flatten().to_numpy()
        histogram = flat.reshape(len(u), -1)[~loop]
    pairs = np.stack([u[~loop], v[~loop]], axis=1)
    edges = Edges(pairs, **{name: values[~loop] for name, values in found.items()}, histogram=histogram)
    return Graph(u[loop], found["count"][loop], edges)


def read_all(urls: Iterable[str], kept: Sequence[str] = KEPT) -> Graph:
    """The sum of many files, added as a tournament of runs so that memory holds the sum and a few parts."""
    total, waiting = Graph.added([]), list[Graph]()
    for part in (read(url, kept) for url in urls):
        waiting.append(part)
        if sum(len(one.edges) for one in waiting) > max(len(total.edges) // 4, 1 << 18):
            total, waiting = Graph.added([total, *waiting]), []
    return Graph.added([total, *waiting]) if waiting else total


def nodes(url: str) -> Array:
    """(N,) uint64 fragments, rising, in one file."""
    table = rows.read(url, ["u", "v"])
    u = table["u"].to_numpy()
    return np.asarray(u[u == table["v"].to_numpy()])


def files(folder: str, count: int, name: str = "part-{:06d}.parquet") -> Iterator[str]:
    """URLs of the files of so many groups."""
    return (storage.join(folder, name.format(group)) for group in range(count))
