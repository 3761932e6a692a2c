"""Grey levels made comparable by statistics of the whole volume or of each section, never of a patch.

A patch's own mean would make a voxel's answer depend on where patches lie, and would lift the noise of empty resin to
the contrast of tissue. Sums are integers and add up over blocks, so they are those of the whole for any blocks. Voxels
of 0 were not imaged: they count nowhere, and become 0, the middle grey.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np

from vision.accumulator import Array

Normalise = Literal["section", "volume"]
WAYS = get_args(Normalise)
TYPES = ("uint8", "uint16")


@dataclass(frozen=True, eq=False)
class Grey:
    """Sums of grey levels by section: (Z, 3) int64 of voxels that are not 0, their values, and their squares."""

    sums: Array

    @classmethod
    def zero(cls, sections: int) -> Self:
        return cls(np.zeros((sections, 3), np.int64))

    @classmethod
    def of(cls, image: Array, first: int, sections: int) -> Self:
        """The sums of a box.

        Args:
            image: (z, y, x) uint8 or uint16, which begins in section `first` of `sections`.

        Raises:
            ValueError: if it holds something else.
        """
        if image.dtype.name not in TYPES or image.ndim != 3:
            raise ValueError(f"grey levels are {' or '.join(TYPES)} (z, y, x), got {image.dtype} {image.shape}")
        found = cls.zero(sections)
        for section, sums in zip(image, found.sums[first : first + len(image)], strict=True):
            values = section.reshape(-1).astype(np.int64)
            sums[:] = np.count_nonzero(values), values.sum(), (values * values).sum()
        return found

    def merge(self, other: Self) -> Self:
        return type(self)(self.sums + other.sums)

    def or_else(self, other: Self) -> Self:
        """With another's sums for the sections that these know nothing of."""
        return type(self)(np.where(self.sums[:, :1] > 0, self.sums, other.sums))

    def levels(self, way: Normalise) -> Levels:
        """Mean and standard deviation by section, of each or of all together.

        Raises:
            ValueError: if the way is unknown, or no voxel is above 0.
        """
        if way not in WAYS:
            raise ValueError(f"normalise must be {' or '.join(WAYS)}, got {way!r}")
        if not self.sums[:, 0].any():
            raise ValueError("the volume has no voxel above 0: there is nothing to see")
        sums = self.sums if way == "section" else np.broadcast_to(self.sums.sum(axis=0), self.sums.shape)
        count = np.maximum(sums[:, 0], 1).astype(np.float64)
        mean = sums[:, 1] / count
        spread = np.sqrt(np.maximum(sums[:, 2] / count - mean**2, 0))
        return Levels(mean.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Levels:
    """(Z,) float32 means and standard deviations of sections."""

    mean: Array
    spread: Array

    def apply(self, image: Array, sections: Array) -> Array:
        """(z, y, x) grey levels as float32 of mean 0 and deviation 1; `sections` (z,) says which they are."""
        mean, spread = (values[sections][:, None, None] for values in (self.mean, self.spread))
        found: Array = np.where(image > 0, (image.astype(np.float32) - mean) / spread, np.float32(0))
        return found
