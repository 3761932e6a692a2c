"""Search inside cells: a net says which cells, photos that look alike say where in them, and both which of the cells.

For each of the net's best cells the most similar reference photo of the cell is found; the cell's probability times
the softmax of those similarities decides, and the answer is where that photo was taken. No answer is further from the
net's own than `limit_km`.

References: Haas et al., "PIGEON: Predicting Image Geolocations", CVPR 2024 (5 cells, 1000 km, temperature 1.6);
Kordopatis-Zilos et al., "Leveraging EfficientNet and contrastive learning for accurate global-scale location
estimation", ICMR 2021 (search within the cell).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.softmax import log_softmax
from vision.sphere import great_circle_km


class Inside(NamedTuple):
    """Of each wanted cell the most similar photo: (Q, k) distances and rows; infinite and -1 for a cell without one."""

    distances: Array
    rows: Array


def inside(queries: Array, wanted: Array, references: Array, cells: Array) -> Inside:
    """The nearest reference photo within each of the cells that a net names.

    Args:
        queries: (Q, D) features, wanted (Q, k) int64 their best cells; -1 for none.
        references: (N, D) features, cells (N,) int64 the cell of each; -1 in none.

    Returns:
        distances are Euclidean, float64; of photos as near the first counts.
    """
    order = np.argsort(cells, kind="stable")
    begin, end = (np.searchsorted(cells[order], wanted, side=side) for side in ("left", "right"))
    distances, rows = np.full(wanted.shape, np.inf), np.full(wanted.shape, -1, np.int64)
    for query, place in zip(*np.nonzero((wanted >= 0) & (end > begin)), strict=True):
        members = order[begin[query, place] : end[query, place]]
        apart = references[members].astype(np.float64) - queries[query].astype(np.float64)
        lengths = np.sqrt((apart**2).sum(axis=1))
        best = int(lengths.argmin())
        distances[query, place], rows[query, place] = lengths[best], members[best]
    return Inside(distances, rows)


@dataclass(frozen=True, eq=False)
class Best:
    """Of each wanted cell the most similar photo so far; parts of the references merge to the same in any order.

    Attributes:
        distances: (Q, k), infinite where there is none.
        places: (Q, k, 2) degrees.
        keys: (Q, k) uint64 of the photos, by which of photos as near the lowest counts.
    """

    distances: Array
    places: Array
    keys: Array

    @classmethod
    def none(cls, queries: int, cells: int) -> Best:
        shape = (queries, cells)
        return cls(np.full(shape, np.inf), np.full((*shape, 2), np.nan), np.zeros(shape, np.uint64))

    def add(self, queries: Array, wanted: Array, references: Array, cells: Array, places: Array, keys: Array) -> Best:
        """With more references: as `inside` takes them, with places (N, 2) and keys (N,) uint64."""
        if not len(keys):
            return self
        order = np.argsort(keys)  # the first of photos as near is then the one with the lowest key
        found = inside(queries, wanted, references[order], cells[order])
        rows = order[np.maximum(found.rows, 0)]
        return self.merge(Best(found.distances, places[rows], keys[rows]))

    def merge(self, other: Best) -> Best:
        ours = (self.distances < other.distances) | ((self.distances == other.distances) & (self.keys <= other.keys))
        return Best(
            np.where(ours, self.distances, other.distances),
            np.where(ours[..., None], self.places, other.places),
            np.where(ours, self.keys, other.keys),
        )

    def answers(self, log_probabilities: Array, fallback: Array, temperature: float, limit_km: float) -> Array:
        """(Q, 2) degrees; see `rerank`."""
        rows = np.where(np.isfinite(self.distances), np.arange(self.distances.size).reshape(self.distances.shape), -1)
        found = Inside(self.distances, rows)
        return rerank(
            log_probabilities, found, self.places.reshape(-1, 2), fallback, temperature=temperature, limit_km=limit_km
        )


def rerank(
    log_probabilities: Array, found: Inside, places: Array, fallback: Array, *, temperature: float = 1.6,
    limit_km: float = 1000.0,
) -> Array:  # fmt: skip
    """The position of each query.

    Args:
        log_probabilities: (Q, k) of its best cells, best first.
        found: the most similar photo of each cell.
        places: (N, 2) degrees of the reference photos.
        fallback: (Q, 2) degrees of the net's own answers: where no photo is in a cell, or none near enough.

    Returns:
        (Q, 2) degrees.

    Raises:
        ValueError: if shapes do not fit or the temperature is not above 0.
    """
    if log_probabilities.shape != found.distances.shape or fallback.shape != (len(log_probabilities), 2):
        shapes = (log_probabilities.shape, found.distances.shape, fallback.shape)
        raise ValueError(f"probabilities, distances and answers must be (Q, k), (Q, k) and (Q, 2), got {shapes}")
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    answers = fallback.astype(np.float64).copy()
    known = found.rows >= 0
    some = np.flatnonzero(known.any(axis=1))
    if not len(some):
        return answers
    # A cell without photos is not chosen, and does not change what the others are worth to each other.
    nearness = np.where(known[some], -found.distances[some] / temperature, -1e300)
    scores = np.where(known[some], log_probabilities[some] + log_softmax(nearness), -np.inf)
    best = scores.argmax(axis=1)
    chosen = places[found.rows[some, best]]
    near = great_circle_km(chosen, answers[some]) <= limit_km
    answers[some[near]] = chosen[near]
    return answers
