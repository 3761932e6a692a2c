"""Affinities as bytes: where they say a boundary is, the edges they give, and how they turn with the picture.

Channel k holds for each voxel v whether v and v + offset_k are of one neuron, 255 = certainly. The offset of a nearest
neighbour along an axis is -1 or 1 there, so a face between two voxels is written at the upper one or at the lower one.
An edge between fragments pools the affinities of its very faces; the boundary map made of them is for watersheds only.

Reference: Turaga et al., Neural Computation 2010; Lee et al. 2017; Funke et al., PAMI 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import AXES, Zyx
from vision.connectomics.edges import Edges, edges_between, edges_with


@dataclass(frozen=True)
class Nearest:
    """The channels that hold nearest neighbours along z, y and x, and whether each is written at the upper voxel."""

    channels: Zyx
    upper: tuple[bool, bool, bool]

    @classmethod
    def of(cls, offsets: Sequence[Zyx]) -> Nearest:
        """Found among offsets, the first of each axis.

        Raises:
            ValueError: if an axis has none.
        """
        found: list[int] = []
        for axis in range(3):
            near = [k for k, o in enumerate(offsets) if abs(o[axis]) == 1 and sum(map(abs, o)) == 1]
            if not near:
                raise ValueError(f"no offset is a nearest neighbour along {AXES[axis]}: {list(offsets)}")
            found.append(near[0])
        z, y, x = found
        return cls((z, y, x), (offsets[z][0] < 0, offsets[y][1] < 0, offsets[x][2] < 0))

    def boundary(self, affinities: Array, in_section: bool = False) -> Array:
        """255 minus the mean of the nearest affinities, rounded to the nearer.

        Args:
            affinities: (C, Z, Y, X) uint8.
            in_section: of y and x only, for sections of 30 nm and more.

        Returns:
            (Z, Y, X) uint8, 255 = a certain boundary.
        """
        _checked(affinities)
        used = self.channels[1:] if in_section else self.channels
        return mean_boundary((affinities[channel] for channel in used), len(used))

    @property
    def alone(self) -> Nearest:
        """The same of affinities that have these three channels and no others, in the order z, y, x."""
        return Nearest((0, 1, 2), self.upper)

    def faces(self, affinities: Array, axis: int) -> Array:
        """Affinity of each face along an axis: uint8, one less along it than the volume."""
        low, high = [slice(None)] * 3, [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        return np.asarray(affinities[self.channels[axis]][tuple(high if self.upper[axis] else low)])

    def edges_of(self, labels: Array, affinities: Array, bins: int = 0) -> Edges:
        """The edges inside a block, by the affinities of their faces.

        Args:
            labels: (Z, Y, X) fragments, 0 = none.
            affinities: (C, Z, Y, X) uint8.

        Raises:
            ValueError: if the shapes differ or the affinities are no bytes.
        """
        _checked(affinities, labels.shape)
        flat = [np.ascontiguousarray(affinities[channel]).reshape(-1) for channel in self.channels]

        def of_faces(axis: int, at: Array, stride: int) -> Array:
            return boundary_of(flat[axis][at + stride if self.upper[axis] else at])

        return edges_with(labels, of_faces, bins)

    def edges_across(self, lower: Array, upper: Array, affinities: Array, axis: int, bins: int = 0) -> Edges:
        """The edges over a face between two blocks.

        Args:
            lower, upper: fragments of the two planes that face each other.
            affinities: (C, Z, Y, X) uint8 of both planes together, 2 along `axis`, lower first.

        Raises:
            ValueError: if the shapes do not fit or the affinities are no bytes.
        """
        shape = tuple(2 if i == axis else n for i, n in enumerate(lower.shape))
        _checked(affinities, shape)
        return edges_between(lower, upper, boundary_of(self.faces(affinities, axis)), bins)


def mean_boundary(channels: Iterable[Array], count: int) -> Array:
    """255 minus the mean of so many channels of affinities (Z, Y, X) uint8, rounded to the nearer, uint8.

    They are added up as they come, so that a generator's are never in memory together.
    """
    total: Array | None = None
    for channel in channels:
        total = channel.astype(np.uint16) if total is None else np.add(total, channel, out=total)
    if total is None:
        raise ValueError("a boundary is made of at least one channel of affinities, got none")
    total += np.uint16(count // 2)
    total //= np.uint16(count)
    return np.subtract(np.uint16(255), total, out=total).astype(np.uint8)


def boundary_of(faces: Array) -> Array:
    """Values of faces (0..510, 510 = a certain boundary) from their affinities, uint16."""
    return np.asarray((255 - faces.astype(np.uint16)) * 2, np.uint16)


def turned_back(affinities: Array, offsets: Sequence[Zyx], axes: Sequence[int]) -> tuple[Array, Array]:
    """Affinities of a flipped picture as those of the picture.

    After the flip back, a channel along a flipped axis holds the neighbour on the other side; read one offset further
    on it is right again, and unknown where that lies outside.

    Args:
        affinities: (C, Z, Y, X) of the picture flipped along `axes` (0 = z).
        offsets: (C) each along one axis.

    Returns:
        Affinities (C, Z, Y, X), and booleans of which are known.

    Raises:
        ValueError: if an offset goes along several axes: its mirror image is no channel.
    """
    values = np.flip(affinities, tuple(axis + 1 for axis in axes)).copy()
    known = np.ones(values.shape, bool)
    for channel, axis, by in moves(offsets, axes):
        at, inside = moved(values.shape[axis + 1], by)
        values[channel] = np.take(values[channel], at, axis)
        known[channel] = np.expand_dims(inside, [i for i in range(3) if i != axis])
    return values, known


def moves(offsets: Sequence[Zyx], axes: Sequence[int]) -> list[tuple[int, int, int]]:
    """(channel, axis, voxels) of each channel that is one offset away after a flip along `axes`; as `turned_back`.

    Raises:
        ValueError: if an offset goes along several axes.
    """
    found = []
    for channel, offset in enumerate(offsets):
        along = [axis for axis in range(3) if offset[axis]]
        if len(along) > 1 and set(along) & set(axes):
            raise ValueError(f"flips need offsets along one axis each, got {tuple(offset)}")
        if along and along[0] in axes:
            found.append((channel, along[0], offset[along[0]]))
    return found


def moved(size: int, by: int) -> tuple[Array, Array]:
    """Places v + by for v along an axis, kept inside, and booleans of which were inside."""
    at = np.arange(size) + by
    return np.clip(at, 0, size - 1), (at >= 0) & (at < size)


def _checked(affinities: Array, shape: tuple[int, ...] | None = None) -> None:
    if affinities.ndim != 4 or affinities.dtype != np.uint8 or (shape and affinities.shape[1:] != shape):
        where = f" of the fragments' shape {shape}" if shape else ""
        raise ValueError(
            f"affinities must be uint8 (channels, z, y, x){where}, got {affinities.dtype} {affinities.shape}"
        )
