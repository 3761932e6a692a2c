"""What a border between two fragments looks like: small pictures round places on it, for a net to judge.

Of the faces between two fragments the few with the lowest hash of their coordinates are looked at, whatever the blocks.
Round each, three pictures are cut, one across each axis, of the boundary map, of grey levels where there are any, of
the two fragments together, and of the line between them. What the whole border is (its mean, its spread, its size) is
laid behind them as even planes.

Reference: Haehn, Kaynig, Tompkin, Lichtman & Pfister, "Guided proofreading of automatic segmentations for
connectomics", CVPR 2018 (image, boundary probability, both segments, their border; 75 x 75 pixels, in one section).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision import draws
from vision.accumulator import Array
from vision.connectomics.blocks import Slices
from vision.connectomics.edges import Edges
from vision.connectomics.grouped import by_pair

PLANES = ((1, 2), (0, 2), (0, 1))
"""The axes of each picture."""

_SEED = 20180618


@dataclass(frozen=True, eq=False)
class Faces:
    """Places on borders.

    Args:
        pairs: (F, 2) uint64 fragments, the smaller id first; sorted.
        voxel: (F, 3) int64 in the array, the lower of the two that face each other.
    """

    pairs: Array
    voxel: Array


@dataclass(frozen=True, eq=False)
class Pictures:
    """What places on borders look like.

    Args:
        shown: (F, 3, C, S, S) uint8, 0..255: boundary, fragments, line, and grey levels where they are seen.
        facts: (F, 3) float32, about 0..1: mean and spread of the border's boundary, and its size.
    """

    shown: Array
    facts: Array

    def __len__(self) -> int:
        return len(self.shown)

    def some(self, rows: Array | slice) -> Pictures:
        return Pictures(self.shown[rows], self.facts[rows])

    @classmethod
    def together(cls, parts: Sequence[Pictures]) -> Pictures:
        """One behind the other."""
        return cls(np.concatenate([p.shown for p in parts]), np.concatenate([p.facts for p in parts]))

    def inputs(self) -> Array:
        """(F, 3, C + 3, S, S) float32, what a net sees: pictures 0..1, and facts as even planes behind them."""
        count, planes, channels, *size = self.shown.shape
        found = np.empty((count, planes, channels + self.facts.shape[1], *size), np.float32)
        np.multiply(self.shown, np.float32(1 / 255), out=found[:, :, :channels])
        found[:, :, channels:] = self.facts[:, None, :, None, None]
        return found


@dataclass(frozen=True)
class Look:
    """How borders are looked at.

    Attributes:
        side: pixels of a picture, odd.
        faces: places on a border, at most.
        image: whether grey levels are seen.
    """

    side: int = 21
    faces: int = 8
    image: bool = False

    def __post_init__(self) -> None:
        if self.side < 5 or self.side % 2 == 0 or self.faces < 1:
            raise ValueError(f"pictures of a border have an odd side of 5 and more, and 1 face, got {self}")

    @property
    def reach(self) -> int:
        """Voxels round a place that are seen."""
        return self.side // 2

    @property
    def channels(self) -> int:
        """Of what a net sees: boundary, fragments, line, grey levels, and three facts of the border."""
        return 6 + int(self.image)

    def pictures(self, faces: Faces, labels: Array, boundary: Array, image: Array | None, edges: Edges) -> Pictures:
        """Pictures of places on borders.

        Args:
            labels, boundary, image: (Z, Y, X) uint64, uint8, uint8; what lies outside is 0 in the first, and goes on
                as it ends in the others.
            edges: what is known of each pair.
        """
        if self.image != (image is not None):
            raise ValueError(f"grey levels must {'' if self.image else 'not '}be given to this way of looking")
        far = self.reach
        places = faces.voxel + far
        held = [np.pad(labels, far), np.pad(boundary, far, mode="edge")]
        held += [np.pad(image, far, mode="edge")] if image is not None else []
        found = np.empty((len(places), len(PLANES), self.channels - 3, self.side, self.side), np.uint8)
        for number, axes in enumerate(PLANES):
            at = self._around(places, axes)
            ids = held[0][at]
            first, second = (ids == faces.pairs[:, side, None, None] for side in (0, 1))
            found[:, number, 0] = held[1][at]
            np.multiply(first | second, 255, out=found[:, number, 1], dtype=np.uint8)
            np.multiply(_line(first, second), 255, out=found[:, number, 2], dtype=np.uint8)
            if image is not None:
                found[:, number, 3] = held[2][at]
        return Pictures(found, _facts(edges, faces.pairs))

    def _around(self, places: Array, axes: tuple[int, int]) -> tuple[Array, Array, Array]:
        """What cuts a picture in the plane of two axes out of an array, for each place."""
        steps = np.arange(-self.reach, self.reach + 1)
        at = [places[:, axis, None, None] for axis in range(3)]
        at[axes[0]] = at[axes[0]] + steps[:, None]
        at[axes[1]] = at[axes[1]] + steps
        z, y, x = np.broadcast_arrays(*at)
        return z, y, x


def faces_of(labels: Array, core: Slices, origin: tuple[int, int, int], most: int) -> Faces:
    """Places on the borders that a block owns: those whose upper voxel is in its write box.

    Args:
        labels: (Z, Y, X) uint64 fragments of a block and what is round it.
        core: where the write box lies in it.
        origin: the place of its first voxel in the volume.
        most: places for each pair.
    """
    parts = [_along(labels, core, axis) for axis in range(3)]
    first, second, voxel = (np.concatenate(column) for column in zip(*parts, strict=True))
    axis = np.repeat(np.arange(3), [len(part[0]) for part in parts])
    hashed = draws.mix(_SEED, *(voxel + np.array(origin)).T, axis)
    groups = by_pair(first, second)
    of_row = groups.of_rows()
    order = np.lexsort((hashed, of_row))
    rank = np.arange(len(order)) - np.searchsorted(of_row[order], of_row[order])
    kept = order[rank < most]
    return Faces(np.stack([first[kept], second[kept]], axis=1), voxel[kept])


def _along(labels: Array, core: Slices, axis: int) -> tuple[Array, Array, Array]:
    """Smaller id, larger id and lower voxel of the faces along an axis."""
    upper = list(core)
    upper[axis] = slice(max(1, core[axis].start), core[axis].stop)
    lower = list(upper)
    lower[axis] = slice(upper[axis].start - 1, upper[axis].stop - 1)
    a, b = labels[tuple(lower)], labels[tuple(upper)]
    at = np.argwhere((a != b) & (a != 0) & (b != 0))
    low, high = a[tuple(at.T)], b[tuple(at.T)]
    return np.minimum(low, high), np.maximum(low, high), at + [part.start for part in lower]


def _line(first: Array, second: Array) -> Array:
    """(F, S, S) where one fragment touches the other in the picture."""
    found = np.zeros(first.shape, bool)
    for low, high in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:, :, :-1], np.s_[:, :, 1:])):
        touch = (first[low] & second[high]) | (second[low] & first[high])
        found[low] |= touch
        found[high] |= touch
    return found


def _facts(edges: Edges, pairs: Array) -> Array:
    """(F, 3) mean and spread of the boundary, 0..1, and the logarithm of the faces, about 0..1."""
    groups = by_pair(np.concatenate([edges.pairs[:, 0], pairs[:, 0]]), np.concatenate([edges.pairs[:, 1], pairs[:, 1]]))
    if len(groups) != len(edges):
        raise ValueError("there are places on borders of which no edge is known")
    rows = groups.of_rows()[len(edges) :]  # edges are sorted by pair, as groups are
    facts = np.stack([edges.mean, edges.spread, np.log(edges.count) / 10], axis=1)
    return facts[rows].astype(np.float32)
