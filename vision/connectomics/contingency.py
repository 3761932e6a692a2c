"""How often segment j lies on neuron i: sparse tables of 64-bit ids that add up over blocks.

Every score of a segmentation is a function of this table, so the table of a volume, added up over its blocks in any
order, gives the exact score of the whole. Neighbouring voxels are nearly always alike, so the table is made of runs:
two comparisons a voxel, and sorting only where something changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from vision.accumulator import Array
from vision.connectomics.grouped import run_starts, summed_by_pair

_CHUNK = 1 << 17  # voxels counted at once, so that what is in between stays in the cache


def _none(kind: type) -> Array:
    return np.empty(0, kind)


@dataclass(frozen=True, eq=False)
class Contingency:
    """Rows (i, j, n): n voxels have truth i and segment j. Sorted by i, then j; each pair once; n above 0.

    Args:
        truth, segments: (K,) uint64.
        counts: (K,) int64.
    """

    truth: Array = field(default_factory=lambda: _none(np.uint64))
    segments: Array = field(default_factory=lambda: _none(np.uint64))
    counts: Array = field(default_factory=lambda: _none(np.int64))

    @classmethod
    def of(cls, truth: Array, segments: Array) -> Contingency:
        """Of two label volumes of one shape, any unsigned (or non-negative) integers.

        Raises:
            ValueError: if the shapes differ, or an array holds what is no integer or negative.
        """
        if truth.shape != segments.shape:
            raise ValueError(f"truth and segmentation must have one shape, got {truth.shape} and {segments.shape}")
        for name, labels in (("truth", truth), ("segmentation", segments)):
            if not np.issubdtype(labels.dtype, np.integer):
                raise ValueError(f"{name} must hold integer ids, got {labels.dtype}")
            if np.issubdtype(labels.dtype, np.signedinteger) and labels.size and int(labels.min()) < 0:
                raise ValueError(f"{name} must not hold negative ids, got {int(labels.min())}")
        i, j = np.ascontiguousarray(truth).reshape(-1), np.ascontiguousarray(segments).reshape(-1)
        pieces = (slice(start, start + _CHUNK) for start in range(0, len(i), _CHUNK))
        return cls.total(cls._of_runs(i[piece], j[piece]) for piece in pieces)

    @classmethod
    def _of_runs(cls, truth: Array, segments: Array) -> Contingency:
        starts = run_starts(truth, segments)
        return cls.rows(truth[starts], segments[starts], np.diff(starts, append=len(truth)))

    @classmethod
    def rows(cls, truth: Array, segments: Array, counts: Array) -> Contingency:
        """From rows (N,) in any order, with repeats."""
        return cls(*summed_by_pair(np.asarray(truth), np.asarray(segments), np.asarray(counts, np.int64)))

    @classmethod
    def total(cls, tables: Iterable[Contingency]) -> Contingency:
        """The sum of tables of disjoint boxes."""
        parts = list(tables) or [cls()]
        if len(parts) == 1:
            return parts[0]
        return cls.rows(
            np.concatenate([p.truth for p in parts]),
            np.concatenate([p.segments for p in parts]),
            np.concatenate([p.counts for p in parts]),
        )

    def merge(self, other: Contingency) -> Contingency:
        """The table of both boxes."""
        return Contingency.total([self, other])

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def voxels(self) -> int:
        return int(self.counts.sum())
