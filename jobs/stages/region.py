"""The blocks of a run, by rank, in groups: numbers are computed and never listed, so 10^9 blocks cost nothing.

A group is the unit of lease and of marks: one small file says what is done of it. Up to 1,023 blocks each is a group of
its own; 10^9 blocks are 244,141 groups of 4,096.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from vision.connectomics.blocks import Box, Grid, Zyx

LARGEST = 4096
GROUPS = 512


@dataclass(frozen=True)
class Region:
    """The blocks of a grid that have voxels of a box.

    Args:
        grid: of the whole volume.
        box: what is worked on; its voxels and no others are written.
    """

    grid: Grid
    box: Box

    @property
    def _first(self) -> Zyx:
        z, y, x = (b // s for b, s in zip(self.box.begin, self.grid.size, strict=True))
        return z, y, x

    @property
    def _counts(self) -> Zyx:
        ends = (-(-e // s) for e, s in zip(self.box.end, self.grid.size, strict=True))
        z, y, x = (e - f for e, f in zip(ends, self._first, strict=True))
        return z, y, x

    def __len__(self) -> int:
        """How many blocks."""
        return math.prod(self._counts)

    def number(self, rank: int) -> int:
        """The number in the grid of a block of the region."""
        (fz, fy, fx), (_, ny, nx) = self._first, self._counts
        return self.grid.number((fz + rank // (ny * nx), fy + rank // nx % ny, fx + rank % nx))

    def group_of(self, number: int) -> int:
        """The group that a block of the region is in."""
        z, y, x = (i - f for i, f in zip(self.grid.index(number), self._first, strict=True))
        _, ny, nx = self._counts
        return ((z * ny + y) * nx + x) // self.group_size

    @property
    def group_size(self) -> int:
        """Blocks of a group; it depends on how many there are, and never on workers."""
        return max(1, min(LARGEST, len(self) // GROUPS))

    @property
    def groups(self) -> int:
        """How many groups."""
        return -(-len(self) // self.group_size)

    def group(self, index: int) -> Iterator[int]:
        """Numbers of the blocks of a group, rising."""
        start = index * self.group_size
        return map(self.number, range(start, min(start + self.group_size, len(self))))

    def size_of(self, index: int) -> int:
        """Blocks of a group: all alike but the last."""
        return min(self.group_size, len(self) - index * self.group_size)

    @property
    def is_whole(self) -> bool:
        return self.box == Box((0, 0, 0), self.grid.shape)
