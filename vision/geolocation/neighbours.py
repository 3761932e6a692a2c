"""The nearest reference photos of each query, gathered shard by shard: states that merge to the same in any order.

faiss finds candidates, by float32 distances whose last digits depend on how many are searched at once; the candidates'
own distances are then formed in float64, row by row, and of photos as far away the one with the lower key comes first.
So the k nearest of a set of photos do not depend on how it is cut into shards, but where two photos are as far away up
to a millionth and stand at place k + 16, which is the margin of candidates.

Cost: exact search is 2 * D operations for each pair; 6 million photos of 512 numbers and 1,000 queries are 6 * 10^12,
some minutes of a core. With 4,096 lists of which 32 are looked at (`inverted`) it is a hundredth of that.

Reference: Johnson, Douze & Jegou, "Billion-scale similarity search with GPUs", IEEE Transactions on Big Data 2019;
Sivic & Zisserman, "Video Google", ICCV 2003 (inverted lists).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from vision.accumulator import Array

_MARGIN = 16
"""Candidates beyond k that faiss is asked for."""

_QUERIES = 256


class NoSearch(ValueError):
    """faiss is not installed."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The k nearest photos of Q queries so far; `none` is the zero.

    Attributes:
        distances: (Q, k) float64 Euclidean, ascending; infinite where there are fewer than k.
        places: (Q, k, 2) float64 degrees, where they were taken; nan where there are fewer.
        keys: (Q, k) uint64, such as hashes of ids; the highest number where there are fewer.
    """

    distances: Array
    places: Array
    keys: Array

    @classmethod
    def none(cls, queries: int, k: int) -> Self:
        """Nothing found yet.

        Raises:
            ValueError: if no neighbours are asked for.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        missing = np.full((queries, k), np.iinfo(np.uint64).max, np.uint64)
        return cls(np.full((queries, k), np.inf), np.full((queries, k, 2), np.nan), missing)

    @property
    def k(self) -> int:
        return int(self.distances.shape[1])

    def merge(self, other: Neighbours) -> Neighbours:
        """The k nearest of both; the same whichever comes first."""
        distances = np.concatenate([self.distances, other.distances], axis=1)
        keys = np.concatenate([self.keys, other.keys], axis=1)
        places = np.concatenate([self.places, other.places], axis=1)
        order = np.lexsort((keys, distances), axis=1)[:, : self.k]
        return Neighbours(
            np.take_along_axis(distances, order, axis=1),
            np.take_along_axis(places, order[:, :, None], axis=1),
            np.take_along_axis(keys, order, axis=1),
        )

    def without(self, keys: Array) -> Neighbours:
        """The same without one photo of each query (Q,): itself, where it is among the references."""
        same = self.keys == keys[:, None]
        blank = Neighbours.none(*self.distances.shape)
        rest = Neighbours(
            np.where(same, np.inf, self.distances), np.where(same[:, :, None], np.nan, self.places),
            np.where(same, blank.keys, self.keys),
        )  # fmt: skip
        return rest.merge(blank)


def search(queries: Array, references: Array, places: Array, keys: Array, k: int, index: Any = None) -> Neighbours:
    """The k nearest photos of a shard.

    Args:
        queries: (Q, D) float32.
        references: (N, D) float32 of the shard's photos, `places` (N, 2) degrees and `keys` (N,) uint64.
        index: from `inverted`, which looks at the likeliest lists only; None: at every photo.

    Raises:
        ValueError: if shapes do not fit or a number is not finite.
        NoSearch: if faiss is not installed.
    """
    _check(queries, references, places, keys)
    found = Neighbours.none(len(queries), k)
    if not len(references) or not len(queries):
        return found
    rows = _candidates(queries, references, min(k + _MARGIN, len(references)), index)
    for start in range(0, len(queries), _QUERIES):
        here = slice(start, start + _QUERIES)
        one = _measured(queries[here], references, places, keys, rows[here])
        merged = Neighbours.none(len(one.keys), k).merge(one)
        for name in ("distances", "places", "keys"):
            getattr(found, name)[here] = getattr(merged, name)
    return found


def inverted(sample: Array, lists: int, probes: int, seed: int = 0) -> Any:
    """An index of `lists` inverted lists, to be given to `search` for every shard.

    Args:
        sample: (N, D) float32 to learn the lists' middles from; some 40 for each list.
        probes: lists that are looked at for each query. All of them: the search is exact.

    Raises:
        ValueError: if there are fewer photos than lists, or no such number of probes.
        NoSearch: if faiss is not installed.
    """
    faiss = _faiss()
    if not 1 <= lists <= len(sample) or not 1 <= probes <= lists:
        raise ValueError(f"lists must be 1 to {len(sample)} and probes 1 to lists, got {lists} and {probes}")
    quantizer = faiss.IndexFlatL2(sample.shape[1])
    index = faiss.IndexIVFFlat(quantizer, sample.shape[1], lists)
    index.cp.seed, index.cp.min_points_per_centroid = seed + 1, 1
    index.train(np.ascontiguousarray(sample, np.float32))
    index.nprobe = probes
    return index


def _candidates(queries: Array, references: Array, k: int, index: Any) -> Array:
    """(Q, k) int64 rows of references; -1 where the lists that were looked at hold fewer."""
    faiss = _faiss()
    used = index if index is not None else faiss.IndexFlatL2(references.shape[1])
    used.reset()
    used.add(np.ascontiguousarray(references, np.float32))
    _, rows = used.search(np.ascontiguousarray(queries, np.float32), k)
    used.reset()
    found: Array = rows
    return found


def _measured(queries: Array, references: Array, places: Array, keys: Array, rows: Array) -> Neighbours:
    """Candidates with their distances in float64."""
    missing, rows = rows < 0, np.maximum(rows, 0)
    distances = np.empty(rows.shape)
    for query in range(len(rows)):
        apart = references[rows[query]].astype(np.float64) - queries[query].astype(np.float64)
        distances[query] = np.sqrt((apart**2).sum(axis=1))
    none = np.iinfo(np.uint64).max
    return Neighbours(
        np.where(missing, np.inf, distances), np.where(missing[:, :, None], np.nan, places[rows]),
        np.where(missing, np.uint64(none), keys[rows]),
    )  # fmt: skip


def _check(queries: Array, references: Array, places: Array, keys: Array) -> None:
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise ValueError(f"queries and references must be (Q, D) and (N, D), got {queries.shape}, {references.shape}")
    if places.shape != (len(references), 2) or keys.shape != (len(references),) or keys.dtype != np.uint64:
        raise ValueError(f"{len(references)} references need (N, 2) places and (N,) uint64 keys")
    for name, values in (("queries", queries), ("references", references)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite numbers, got nan or infinity among them")


def _faiss() -> Any:
    try:
        import faiss
    except ModuleNotFoundError:
        raise NoSearch(
            "a search among photos needs faiss, which is not installed: pip install 'safelight[search]'"
        ) from None
    return faiss
