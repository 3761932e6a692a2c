"""What do the nearest examples say? k nearest neighbours among embeddings, exact, by cosine or Euclidean distance.

Every answer looks at every example, in blocks: 16 MiB of distances at once, however many examples there are. A
thousand questions to 50,000 examples of 1,280 numbers are 64 billion multiply-adds, some seconds of one core.
Examples as far away as the k-th count in the order in which they are given; scores are shares of the k votes, and a
class without a vote is impossible, so that a truth that no neighbour has costs an infinite cross entropy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vision.accumulator import Array
from vision.classification.probe import blockwise, seen
from vision.ranking import lowest

Distance = Literal["cosine", "euclidean"]

_QUESTIONS, _EXAMPLES = 256, 8192  # rows of a block of distances
_RESOLUTION = (
    2.0**-40
)  # of the largest squared norm: what is nearer to each other is equally far, whatever rounding says


@dataclass(frozen=True, eq=False)
class Neighbours:
    """A kNN probe.

    Attributes:
        features: (N, D) the examples.
        labels: (N,) int64 in 0..classes-1.
        classes: K.
        k: how many vote.
        distance: "cosine" or "euclidean".
        centre: (D,) what is taken off for Euclidean distances, which are between differences.
        resolution: distances are told apart from here on.
    """

    features: Array
    labels: Array
    classes: int
    k: int
    distance: Distance
    centre: Array
    resolution: float

    def __call__(self, features: Array) -> Array:
        return blockwise(self._votes, features, _QUESTIONS)

    def _votes(self, block: Array) -> Array:
        """(B, K) logarithms of shares of votes."""
        voters = self.labels[self._nearest(_placed(block, self.centre, self.distance))]  # (B, k)
        cells = np.arange(len(block))[:, None] * self.classes + voters
        votes = np.bincount(cells.reshape(-1), minlength=len(block) * self.classes).reshape(len(block), -1)
        with np.errstate(divide="ignore"):
            shares: Array = np.log(votes / self.k)
        return shares

    def _nearest(self, block: Array) -> Array:
        """(B, k) places of the nearest examples, ascending."""
        far, places = np.empty((len(block), 0)), np.empty((len(block), 0), np.int64)
        for start in range(0, len(self.features), _EXAMPLES):
            part = _placed(self.features[start : start + _EXAMPLES].astype(np.float64), self.centre, self.distance)
            far = np.concatenate([far, self._distances(block, part)], axis=1)
            here = np.broadcast_to(np.arange(start, start + len(part)), (len(block), len(part)))
            places = np.concatenate([places, here], axis=1)
            if far.shape[1] > self.k:
                kept = lowest(far, self.k)
                far, places = np.take_along_axis(far, kept, axis=1), np.take_along_axis(places, kept, axis=1)
        return places

    def _distances(self, block: Array, part: Array) -> Array:
        """(B, P) distances in steps of the resolution, squared and less what is the same for every example."""
        products = -2 * block @ part.T
        if self.distance == "euclidean":
            products += (part**2).sum(axis=1)
        steps: Array = np.rint(products / self.resolution)
        return steps


def fit_neighbours(features: Array, labels: Array, classes: int, k: int, distance: Distance = "cosine") -> Neighbours:
    """The probe that asks `k` of these examples.

    Args:
        features: (N, D) float32 or float64.
        labels: (N,) int64 in 0..classes-1.

    Raises:
        ValueError: if k is not in 1..N, there are fewer than two classes, or a feature is not finite.

    Reference: Cover & Hart, "Nearest neighbor pattern classification", IEEE Transactions on Information Theory 1967.
    """
    if not 1 <= k <= len(features):
        raise ValueError(f"k must be in 1..{len(features)}, the number of examples, got {k}")
    seen(labels, classes)
    with np.errstate(invalid="ignore"):
        centre = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(centre).all():
        raise ValueError("features must be finite numbers, got nan or infinity among them")
    if distance == "cosine":
        return Neighbours(features, labels, classes, k, distance, np.zeros_like(centre), _RESOLUTION)
    starts = range(0, len(features), _EXAMPLES)
    largest = max(float(((features[s : s + _EXAMPLES] - centre) ** 2).sum(axis=1).max()) for s in starts)
    return Neighbours(features, labels, classes, k, distance, centre, _RESOLUTION * (largest or 1.0))


def _placed(rows: Array, centre: Array, distance: Distance) -> Array:
    """Rows as they are compared: of length 1 for cosines (zero stays zero), about the centre for distances."""
    if distance == "euclidean":
        moved: Array = rows - centre
        return moved
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Array = rows / np.where(norms == 0, 1.0, norms)
    return unit
