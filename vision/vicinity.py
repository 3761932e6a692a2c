"""Near in place or near in time: what makes records relatives that have no value in common.

`Spots` counts the rows of each split by where, or by whom and when, they were taken, over any number of shards. Only
distinct spots are kept, 24 bytes each, so a hundred million take 2.4 GB. Positions are whole steps of 1e-7 degrees
(1.1 cm) and times whole seconds: counts of them add up to the last bit.

Reference: Astruc et al., "OpenStreetView-5M", CVPR 2024 (a test photo is 1 km or more from any of the training).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np

from vision.accumulator import Array
from vision.leakage import Leaked
from vision.sphere import EARTH_KM, unit_vectors

STEP = 1e-7
"""Degrees of a step."""

_NOWHERE = np.empty((0, 3), np.int64)


class Nearness(Protocol):
    """What makes two spots relatives."""

    def near(self, references: Array, asked: Array) -> Array:
        """(N,) bool: which of (N, 2) spots has a relative among (M, 2) others."""
        ...

    def together(self, spots: Array) -> Array:
        """(N,) what names the spots that leak together, or not at all."""
        ...


def near_places(references: Array, asked: Array, km: float) -> Array:
    """Which places have another within a distance.

    Args:
        references, asked: (M, 2) and (N, 2) latitude and longitude, degrees.
        km: over the surface of a sphere; exactly so far is near.

    Returns:
        (N,) bool.
    """
    from scipy.spatial import cKDTree

    near = np.zeros(len(asked), bool)
    if len(references) and len(asked):
        # Whose nearest is far away need not find it: 1 s in place of 54 for half a million places among as many.
        enough = 2 * np.sin(min(km / (2 * EARTH_KM), np.pi / 2)) * (1 + 1e-9) + 1e-12
        tree = cKDTree(unit_vectors(*references.T))
        chords, _ = tree.query(unit_vectors(*asked.T), distance_upper_bound=enough)
        near = 2 * EARTH_KM * np.arcsin(np.minimum(1.0, chords / 2)) <= km
    return near


def near_times(references: Array, asked: Array, seconds: float) -> Array:
    """Which moments of somebody have another of the same within a time; within 0, which are there themselves.

    Args:
        references, asked: (M, 2) and (N, 2) int64: who, and when in seconds.

    Returns:
        (N,) bool.
    """
    both = np.concatenate([references, asked])
    order = np.lexsort((both[:, 1], both[:, 0]))
    who, when = both[order].T
    rows, known = np.arange(len(order)), order < len(references)
    before = np.maximum.accumulate(np.where(known, rows, -1))
    after = np.minimum.accumulate(np.where(known, rows, len(order))[::-1])[::-1]
    near = np.zeros(len(order), bool)
    for place, there in ((before, before >= 0), (after, after < len(order))):
        at = np.where(there, place, 0)
        near |= there & (who[at] == who) & (np.abs(when[at] - when) <= seconds)
    found = np.empty(len(order), bool)
    found[order] = near
    return found[len(references) :]


@dataclass(frozen=True, eq=False)
class Spots:
    """How many rows of each split are at each spot.

    Attributes:
        counts: split to (K, 3) int64 in ascending order: the two numbers of a spot, and its rows.
        missing: split to rows of which the spot is not known.
    """

    counts: Mapping[str, Array] = field(default_factory=dict)
    missing: Mapping[str, int] = field(default_factory=dict)

    def update(self, split: str, spots: Array, known: Array) -> Self:
        """Add rows of a split: their spots (N, 2) int64, and which of them are known, (N,) bool."""
        rows = np.column_stack([spots[known], np.ones(int(known.sum()), np.int64)])
        return self.merge(type(self)({split: _summed(rows)}, {split: int((~known).sum())}))

    def merge(self, other: Self) -> Self:
        counts, missing = dict(self.counts), dict(self.missing)
        for split, more in other.counts.items():
            counts[split] = _summed(np.concatenate([counts[split], more])) if split in counts else more
        for split, rows in other.missing.items():
            missing[split] = missing.get(split, 0) + rows
        return replace(self, counts=counts, missing=missing)

    def shared(self, split: str, nearness: Nearness, others: Sequence[str] | None = None) -> Array:
        """(K, 2) the spots of a split that have a relative in others; in any other by default."""
        own = self._of(split)[:, :2]
        return own[self._near(split, nearness, others)]

    def leaked(self, splits: Sequence[str], nearness: Nearness, others: Sequence[str] | None = None) -> Leaked:
        """The rows of some splits with a relative in another split; `values` are distinct spots.

        Args:
            others: which others; all by default.
        """
        rows = values = n = squares = hits = 0
        for split in splits:
            own, near = self._of(split), self._near(split, nearness, others)
            hits, rows = hits + int(near.sum()), rows + int(own[near, 2].sum())
            values, n = values + len(own), n + int(own[:, 2].sum())
            squares += _squares(nearness.together(own[:, :2]), own[:, 2])
        return Leaked(rows, n, hits, values, squares, sum(self.missing.get(split, 0) for split in splits))

    def _of(self, split: str) -> Array:
        return self.counts.get(split, _NOWHERE)

    def _near(self, split: str, nearness: Nearness, others: Sequence[str] | None) -> Array:
        asked = [name for name in sorted(self.counts) if name != split] if others is None else others
        theirs = [self._of(other)[:, :2] for other in asked]
        return nearness.near(np.concatenate([_NOWHERE[:, :2], *theirs]), self._of(split)[:, :2])


def _summed(rows: Array) -> Array:
    """(K, 3) of (N, 3): one row for each spot, with the sum of the counts, ascending."""
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    if not len(rows):
        return rows
    first = np.flatnonzero(np.concatenate([[True], (rows[1:, :2] != rows[:-1, :2]).any(axis=1)]))
    return np.column_stack([rows[first, :2], np.add.reduceat(rows[:, 2], first)])


def _squares(groups: Array, rows: Array) -> int:
    """The sum of the squared rows of each group."""
    if not len(groups):
        return 0
    _, place = np.unique(groups, axis=0, return_inverse=True)
    sums = np.zeros(len(groups), np.int64)
    np.add.at(sums, place.reshape(-1), rows)
    return int((sums * sums).sum())
