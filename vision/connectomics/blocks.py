"""One global grid of blocks over a volume: who writes which voxels, and what it has to read for that.

Boxes are half-open and in voxels, (z, y, x). Every voxel belongs to the write box of exactly one block; the read box
is the write box grown by the halo and clipped to the volume. Nothing depends on a list of blocks: a number is enough,
so that a petavoxel volume (1.3e15 voxels, 6e8 blocks of 128^3) costs a driver no memory.

A block names its fragments without asking anybody: `number * voxels per block + local id`, local ids 1, 2, ... with at
most one a voxel. So an id tells its block, ids of different blocks never meet, and sorting ids sorts blocks; igneous
and LSD do the same. 0 stays background.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array

Zyx = tuple[int, int, int]
Slices = tuple[slice, slice, slice]
AXES = "zyx"


class Box(NamedTuple):
    """A half-open box of voxels: `begin` is inside, `end` is not."""

    begin: Zyx
    end: Zyx

    @property
    def shape(self) -> Zyx:
        """Voxels along z, y and x."""
        return _zyx(max(0, e - b) for b, e in zip(self.begin, self.end, strict=True))

    @property
    def voxels(self) -> int:
        return math.prod(self.shape)

    @property
    def slices(self) -> Slices:
        """What cuts the box out of an array of the whole volume."""
        return self.within((0, 0, 0))

    def within(self, origin: Zyx) -> Slices:
        """What cuts the box out of an array whose first voxel lies at `origin`."""
        z, y, x = (slice(b - o, e - o) for b, e, o in zip(self.begin, self.end, origin, strict=True))
        return z, y, x

    def meet(self, other: Box) -> Box:
        """The voxels of both boxes; a shape with a 0 where there are none."""
        begin = _zyx(max(a, b) for a, b in zip(self.begin, other.begin, strict=True))
        return Box(begin, _zyx(max(b, min(c, d)) for b, c, d in zip(begin, self.end, other.end, strict=True)))

    def grown(self, by: Zyx) -> Box:
        """With `by` more voxels on both sides of each axis; not clipped."""
        return Box(
            _zyx(b - g for b, g in zip(self.begin, by, strict=True)),
            _zyx(e + g for e, g in zip(self.end, by, strict=True)),
        )


class Block(NamedTuple):
    """A unit of work: what it writes and what it reads."""

    number: int
    write: Box
    read: Box

    @property
    def core(self) -> Slices:
        """What cuts the write box out of an array of the read box."""
        return self.write.within(self.read.begin)


class Face(NamedTuple):
    """Where a block touches the neighbour below it along `axis`: two planes, one voxel thick, that face each other.

    `lower` is a box inside the write box of block `below`, `upper` one of block `number`; an edge between fragments
    of the two belongs to block `number`.
    """

    axis: int
    number: int
    below: int
    lower: Box
    upper: Box


@dataclass(frozen=True)
class Grid:
    """Blocks of one size over a volume; those at the upper ends are cut off.

    Args:
        shape: of the volume, voxels.
        size: of a write box; chunks and shards of what is written must divide it.
        halo: how far the read box reaches beyond the write box.

    Raises:
        ValueError: if a size is not positive, a halo negative, or an id would not fit into 63 bits.
    """

    shape: Zyx
    size: Zyx
    halo: Zyx = (0, 0, 0)

    def __post_init__(self) -> None:
        for name, value, least in (("shape", self.shape, 1), ("size", self.size, 1), ("halo", self.halo, 0)):
            if len(value) != 3 or any(int(v) != v or v < least for v in value):
                raise ValueError(f"{name} of a grid must be three whole numbers from {least} (z, y, x), got {value}")
        if (len(self) + 1) * self.voxels_per_block >= 2**63:
            raise ValueError(f"ids of {len(self)} blocks of {self.voxels_per_block} voxels do not fit into 63 bits")

    @property
    def counts(self) -> Zyx:
        """Blocks along z, y and x."""
        return _zyx(-(-n // s) for n, s in zip(self.shape, self.size, strict=True))

    @property
    def voxels_per_block(self) -> int:
        return math.prod(self.size)

    def __len__(self) -> int:
        return math.prod(self.counts)

    def __iter__(self) -> Iterator[Block]:
        return (self.block(number) for number in range(len(self)))

    def index(self, number: int) -> Zyx:
        """Place of a block in the grid; the last axis runs fastest.

        Raises:
            ValueError: if there is no such block.
        """
        if not 0 <= number < len(self):
            raise ValueError(f"there is no block {number}: the grid has {len(self)}")
        _, ny, nx = self.counts
        return number // (ny * nx), number // nx % ny, number % nx

    def number(self, index: Zyx) -> int:
        """Number of the block at a place in the grid.

        Raises:
            ValueError: if the place is outside.
        """
        if any(not 0 <= i < n for i, n in zip(index, self.counts, strict=True)):
            raise ValueError(f"there is no block at {index}: the grid has {self.counts} along z, y, x")
        _, ny, nx = self.counts
        return (index[0] * ny + index[1]) * nx + index[2]

    def block(self, number: int) -> Block:
        """The block of a number.

        Raises:
            ValueError: if there is none.
        """
        begin = _zyx(i * s for i, s in zip(self.index(number), self.size, strict=True))
        whole = Box((0, 0, 0), self.shape)
        write = Box(begin, _zyx(b + s for b, s in zip(begin, self.size, strict=True))).meet(whole)
        return Block(number, write, write.grown(self.halo).meet(whole))

    def over(self, box: Box) -> Iterator[int]:
        """Numbers, rising, of the blocks whose write boxes have voxels of `box`; none are held in memory."""
        inside = box.meet(Box((0, 0, 0), self.shape))
        if inside.voxels:
            spans = (range(b // s, -(-e // s)) for b, e, s in zip(*inside, self.size, strict=True))
            yield from (self.number(_zyx(place)) for place in product(*spans))

    def faces(self, number: int) -> list[Face]:
        """The faces that a block shares with its lower neighbours, at most one an axis."""
        index, write = self.index(number), self.block(number).write
        faces = []
        for axis in range(3):
            if index[axis]:
                at = write.begin[axis]
                below = self.number(_replaced(index, axis, index[axis] - 1))
                lower = Box(_replaced(write.begin, axis, at - 1), _replaced(write.end, axis, at))
                upper = Box(write.begin, _replaced(write.end, axis, at + 1))
                faces.append(Face(axis, number, below, lower, upper))
        return faces

    def ids(self, number: int, local: Array) -> Array:
        """Local ids of a block (any shape, 0 = background) as uint64 ids of the volume.

        Raises:
            ValueError: if there are more ids than a block has voxels.
        """
        if local.size and int(local.max()) > self.voxels_per_block:
            raise ValueError(f"a local id is at most {self.voxels_per_block}, got {int(local.max())}")
        base = np.uint64(number * self.voxels_per_block)
        return np.where(local > 0, local.astype(np.uint64) + base, np.uint64(0))

    def owner(self, ids: Array) -> Array:
        """Block numbers (N,) int64 of ids (N,) uint64, none of them 0."""
        return ((ids - np.uint64(1)) // np.uint64(self.voxels_per_block)).astype(np.int64)

    def id_range(self, number: int) -> tuple[int, int]:
        """First id of a block, and the one after its last."""
        return number * self.voxels_per_block + 1, (number + 1) * self.voxels_per_block + 1


def _zyx(values: Iterator[int] | tuple[int, ...]) -> Zyx:
    z, y, x = values
    return z, y, x


def _replaced(values: Zyx, axis: int, value: int) -> Zyx:
    return _zyx(value if i == axis else v for i, v in enumerate(values))
