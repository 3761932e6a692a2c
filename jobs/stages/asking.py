"""The fields of every job that works on a volume block by block, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jobs.records import Spread
from jobs.spec import SpecError
from jobs.stages.region import Region
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.corpora.volumes import Triple, parse_box


class Blocks(Spread):
    """How a volume is cut."""

    block: tuple[int, ...] = Field(
        (128,), min_length=1, description="voxels that a block writes: Z,Y,X, or one for a cube"
    )
    roi: str | None = Field(None, description="box to work on, Z0:Z1,Y0:Y1,X0:X1 in voxels; the rest stays 0")
    scale: int = Field(0, ge=0, description="which array of a pyramid to read; 0: full resolution")

    def region(self, shape: Triple, halo: Zyx) -> Region:
        """The blocks of a volume.

        Raises:
            SpecError: if a size does not fit.
        """
        try:
            grid = Grid(shape, self.block_size(shape), halo)
        except ValueError as error:
            raise SpecError(f"block: {error}") from None
        try:
            begin, end = parse_box(self.roi, shape) if self.roi else ((0, 0, 0), shape)
        except ValueError as error:
            raise SpecError(f"roi: {error}") from None
        return Region(grid, Box(begin, end))

    def block_size(self, shape: Triple) -> Zyx:
        """The write box: as asked for, and no larger than the volume."""
        z, y, x = (min(size, most) for size, most in zip(triple(self.block, "block"), shape, strict=True))
        return z, y, x


def triple(values: Sequence[int], field: str) -> Zyx:
    """(z, y, x) from three numbers, or from one for all.

    Raises:
        SpecError: if there are as many as neither.
    """
    if len(values) not in (1, 3):
        raise SpecError(
            f"{field}: one number or three (Z,Y,X) are expected, got {','.join(map(str, values)) or 'none'}"
        )
    z, y, x = (int(v) for v in (values if len(values) == 3 else tuple(values) * 3))
    return z, y, x
