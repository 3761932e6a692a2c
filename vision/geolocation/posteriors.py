"""A net's outputs read as places: probabilities of cells, the product over partitions, and the best cells.

With several partitions the probability of a fine cell is the product of its own and of those of the cells that hold
it, formed as a sum of log-softmaxes and normalised over the fine cells. (GeoEstimation's own validation multiplies raw
logits, which is not in the paper and not here.) A fine cell that a coarser partition does not know gets from it the
share of an average cell, 1/M: neither a reward nor a verdict.

22,000 fine cells under two coarser partitions: 1,200 photos a second and core.

Reference: Müller-Budack, Pustu-Iren & Ewerth, "Geolocation Estimation of Photos using a Hierarchical Model and Scene
Classification", ECCV 2018, equation 3 (f*) and section 4 (the greatest over crops).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.geolocation.globe import Globe
from vision.predictor import vectors
from vision.ranking import highest
from vision.softmax import log_softmax
from vision.sphere import PLACE, faults, places

TOP = 5


@dataclass(frozen=True, eq=False)
class Posteriors:
    """Reads the outputs of a net whose outputs are the cells of a globe."""

    globe: Globe

    def by_partition(self, logits: Array) -> list[Array]:
        """For each partition (N, M) float64 logarithms of probabilities.

        Raises:
            ValueError: if there are not as many outputs as cells.
        """
        if logits.ndim != 2 or logits.shape[1] != self.globe.outputs:
            raise ValueError(f"logits must be (N, {self.globe.outputs}), got {logits.shape}")
        edges = np.cumsum(self.globe.sizes)[:-1]
        return [log_softmax(np.ascontiguousarray(part, np.float64)) for part in np.split(logits, edges, axis=1)]

    def fine(self, logits: Array) -> Array:
        """(N, F) float64 logarithms of the probabilities of the finest cells, by all partitions together.

        Args:
            logits: (N, K), coarsest partition first.
        """
        *coarser, fine = self.by_partition(logits)
        if not coarser or not len(fine):
            return fine
        for part, ancestors in zip(coarser, self.globe.ancestors, strict=True):
            said = np.take(part, np.maximum(ancestors, 0), axis=1)
            fine = fine + np.where(ancestors >= 0, said, -np.log(part.shape[1]))
        return log_softmax(fine)

    def truth(self, rows: pa.Table) -> Array:
        """(N,) int64: the finest partition's cell that each record lies in; -1 in none, or where it has no place."""
        if not set(PLACE) <= set(rows.column_names):
            return np.full(len(rows), -1, np.int64)
        latitude, longitude = places(rows).T
        known = faults(latitude, longitude) == 0
        found = self.globe.classes(np.where(known, latitude, np.nan), np.where(known, longitude, np.nan))
        finest: Array = found[:, -1]
        return finest

    def decode(self, logits: Array, _truth: Array) -> dict[str, pa.Array]:
        """The answer columns.

        Args:
            logits: (N, K) float32; with no rows, of any width.

        Returns:
            latitude, longitude float64 degrees, cell string (its token; ties go to the lower class), score float32
            (its probability), top_cells and top_scores (the best min(5, F), best first).
        """
        logs = self.fine(logits) if len(logits) else np.empty((0, self.globe.sizes[-1]))
        return self.columns(logs)

    def columns(self, logs: Array, best: Array | None = None) -> dict[str, pa.Array]:
        """The answer columns of log-probabilities of the finest cells; null for a photo with a number that is none.

        Args:
            logs: (N, F).
            best: (N,) int64 classes to answer with, where something else than these numbers chose them.
        """
        globe = self.globe
        lost = np.asarray(~np.isfinite(logs).all(axis=1))
        logs = np.where(lost[:, None], 0.0, logs)
        order = highest(logs, min(TOP, logs.shape[1]))  # (N, TOP)
        best = order[:, 0] if best is None else best
        scores = np.exp(np.take_along_axis(logs, order, axis=1)).astype(np.float32)
        columns = {
            "latitude": pa.array(globe.positions[best, 0]),
            "longitude": pa.array(globe.positions[best, 1]),
            "cell": pa.array(globe.tokens[best].tolist(), pa.string()),
            "score": pa.array(np.exp(logs[np.arange(len(logs)), best]).astype(np.float32)),
            "top_cells": _texts(globe.tokens[order]),
            "top_scores": vectors(scores),
        }
        rows = pa.array(np.arange(len(logs)), mask=lost)
        return {name: column.take(rows) for name, column in columns.items()} if lost.any() else columns

    def greatest(self, views: Sequence[Array]) -> Array:
        """Several looks at the same pictures as one: of each cell the greatest probability that any gave it.

        Args:
            views: one or more of (N, K) logits.

        Returns:
            (N, K) float64 that stand for them all; each partition's softmax is normalised again when it is read.
        """
        logs = [np.concatenate(self.by_partition(logits), axis=1) for logits in views]
        most: Array = reduce(np.maximum, logs)
        return most


def _texts(values: Array) -> pa.Array:
    """(N, T) texts as a list column."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1).tolist(), pa.string()))
