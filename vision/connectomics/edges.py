"""Where two fragments touch: statistics of the boundary between them, as integers that add up over blocks.

Voxels that are neighbours along an axis and have different fragments touch in one face. A face's value says how much
of a boundary it is, as an integer in 0..510: the sum of the two voxels' boundary bytes (0..255, the mean of the two in
units of 1/510), or twice 255 - affinity. Sums of integers do not depend on how the volume was cut or in which order
blocks came in; averages of block averages would. The faces inside a block and over its lower faces belong to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from vision.accumulator import Array
from vision.connectomics.faces import UNIT, distinct_faces
from vision.connectomics.grouped import by_pair, run_starts

_SLAB = 1 << 18
"""Voxels whose faces are gathered at once: what is in between stays small, and in the cache."""

OfFaces = Callable[[int, Array, int], Array]
"""Values (N,) in 0..510 of faces: the axis they cross, flat places (N,) of their lower voxels, stride to the upper."""


@dataclass(frozen=True, eq=False)
class Edges:
    """Pairs of fragments that touch, and what lies between them; sorted by pair.

    Args:
        pairs: (E, 2) uint64, the smaller id first.
        count: (E,) int64 faces.
        total: (E,) int64 sum of the faces' values (0..510).
        squares, least, most: (E,) int64 sum of their squares, smallest and largest value; (0,) where they were left
            out, as for agglomeration, which needs means alone.
        histogram: (E, bins) int64 faces by value, from 0 to 510 in equal bins; (E, 0) where none was asked for.
    """

    pairs: Array = field(default_factory=lambda: np.empty((0, 2), np.uint64))
    count: Array = field(default_factory=lambda: np.empty(0, np.int64))
    total: Array = field(default_factory=lambda: np.empty(0, np.int64))
    squares: Array = field(default_factory=lambda: np.empty(0, np.int64))
    least: Array = field(default_factory=lambda: np.empty(0, np.int64))
    most: Array = field(default_factory=lambda: np.empty(0, np.int64))
    histogram: Array = field(default_factory=lambda: np.empty((0, 0), np.int64))

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def bins(self) -> int:
        return int(self.histogram.shape[1])

    @property
    def mean(self) -> Array:
        """(E,) mean boundary in 0..1."""
        return np.asarray(self.total / (self.count * UNIT))

    @property
    def spread(self) -> Array:
        """(E,) standard deviation of the boundary's faces, in 0..1."""
        mean = self.total / self.count
        return np.sqrt(np.maximum(self.squares / self.count - mean * mean, 0)) / UNIT

    @classmethod
    def of_faces(cls, first: Array, second: Array, values: Array, bins: int = 0) -> Edges:
        """From faces: the two ids (N,) each, different and none 0, and the values (N,) in 0..510."""
        a, b, value, faces = distinct_faces(np.minimum(first, second), np.maximum(first, second), values)
        starts = run_starts(a, b)
        if not len(starts):
            return cls(histogram=np.zeros((0, bins), np.int64))
        histogram = np.zeros((len(starts), bins), np.int64)
        if bins:
            row = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(a)))
            np.add.at(histogram, (row, value * bins // (UNIT + 1)), faces)
        return cls(
            np.stack([a[starts], b[starts]], axis=1).astype(np.uint64),
            np.add.reduceat(faces, starts),
            np.add.reduceat(faces * value, starts),
            np.add.reduceat(faces * value * value, starts),
            value[starts],
            value[np.append(starts[1:], len(a)) - 1],
            histogram,
        )

    @classmethod
    def added(cls, parts: Iterable[Edges]) -> Edges:
        """The statistics of disjoint sets of faces together.

        Raises:
            ValueError: if the parts have histograms of different widths.
        """
        kept = [part for part in parts if len(part)]
        if not kept:
            return cls()
        if len({part.bins for part in kept}) > 1:
            raise ValueError(f"histograms must have one number of bins, got {sorted({p.bins for p in kept})}")
        pairs = np.concatenate([part.pairs for part in kept])
        groups = by_pair(pairs[:, 0], pairs[:, 1])

        def reduced(name: str, how: Callable[[Array], Array]) -> Array:
            values = np.concatenate([getattr(part, name) for part in kept])
            return how(values) if len(values) else values

        return cls(
            np.stack([groups.first, groups.second], axis=1), reduced("count", groups.sums),
            reduced("total", groups.sums), reduced("squares", groups.sums), reduced("least", groups.least),
            reduced("most", groups.most), reduced("histogram", groups.sums),
        )  # fmt: skip

    def merge(self, other: Edges) -> Edges:
        return Edges.added([self, other])


def edges_of(labels: Array, boundary: Array, bins: int = 0) -> Edges:
    """The edges inside a block.

    Args:
        labels: (Z, Y, X) fragments, 0 = none.
        boundary: (Z, Y, X) uint8, 255 = a certain boundary.
        bins: of the histograms; 0 for none, 256 for quantiles.

    Raises:
        ValueError: if the shapes differ or the boundary is not uint8.
    """
    _checked(labels, boundary)
    flat = np.ascontiguousarray(boundary).reshape(-1)
    return edges_with(labels, lambda _axis, at, stride: flat[at].astype(np.uint16) + flat[at + stride], bins)


def edges_with(labels: Array, of_faces: OfFaces, bins: int = 0) -> Edges:
    """The edges inside a block (Z, Y, X) of fragments, 0 = none; what its faces are worth is asked for."""
    depth = len(labels)
    # Adding up histograms of many slabs would cost more than the cache gains.
    planes = depth if bins else max(1, _SLAB // max(1, labels[:1].size))
    parts = [_slab(labels, z, planes, of_faces, bins) for z in range(0, depth, max(1, planes))]
    return parts[0] if len(parts) == 1 else Edges.added(parts)


def _slab(labels: Array, start: int, planes: int, of_faces: OfFaces, bins: int) -> Edges:
    """The edges of some planes, and from the last of them to the one above, which is there unless the block ends."""
    whole, within = labels[start : start + planes + 1], labels[start : start + planes]
    flat, before = np.ascontiguousarray(whole).reshape(-1), start * labels[:1].size
    parts = []
    for axis, part in enumerate((whole, within, within)):
        at, stride = _changes(part, axis)
        parts.append(_kept(flat[at], flat[at + stride], of_faces(axis, at + before, stride)))
    first, second, amounts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Edges.of_faces(first, second, amounts, bins)


def edges_across(lower: Array, upper: Array, lower_boundary: Array, upper_boundary: Array, bins: int = 0) -> Edges:
    """The edges over one face between two blocks: fragments and boundary of its two planes, equal shapes."""
    _checked(lower, lower_boundary)
    _checked(upper, upper_boundary)
    return edges_between(lower, upper, lower_boundary.astype(np.uint16) + upper_boundary, bins)


def edges_between(lower: Array, upper: Array, values: Array, bins: int = 0) -> Edges:
    """The edges among voxels that face each other: ids (any equal shape, 0 = none) and values in 0..510."""
    a, b, amounts = (np.ascontiguousarray(x).reshape(-1) for x in (lower, upper, values))
    at = np.flatnonzero(a != b)
    return Edges.of_faces(*_kept(a[at], b[at], amounts[at]), bins)


def _changes(labels: Array, axis: int) -> tuple[Array, int]:
    """Flat places of the voxels whose upper neighbour along an axis differs, and how far off that one is."""
    _, height, width = labels.shape
    if axis == 0:
        return np.flatnonzero(labels[:-1] != labels[1:]), height * width
    if axis == 1:
        at = np.flatnonzero(labels[:, :-1] != labels[:, 1:])
        return at + at // max(1, (height - 1) * width) * width, width
    at = np.flatnonzero(labels[:, :, :-1] != labels[:, :, 1:])
    return at + at // max(1, width - 1), 1


def _kept(first: Array, second: Array, values: Array) -> tuple[Array, Array, Array]:
    """Ids and value of the faces that have a fragment on both sides."""
    if len(first) and (first.min() == 0 or second.min() == 0):
        both = (first != 0) & (second != 0)
        return first[both], second[both], values[both]
    return first, second, values


def _checked(labels: Array, boundary: Array) -> None:
    if labels.shape != boundary.shape or boundary.dtype != np.uint8:
        raise ValueError(
            f"boundary must be uint8 of the fragments' shape {labels.shape}, got {boundary.dtype} {boundary.shape}"
        )
