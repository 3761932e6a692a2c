"""The fields of a job that applies a net to a volume: how patches lie, and how what they say is put together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from jobs.spec import SpecError
from jobs.stages.asking import Blocks, triple
from vision.connectomics.blocks import Zyx
from vision.connectomics.inference import Meaning
from vision.connectomics.tiles import Tiling
from vision.corpora.volumes import Triple


class Applying(Blocks):
    """How a net is applied."""

    model: str | None = Field(None, description="model folder or models:/NAME@ALIAS, trained on volumes")
    patch: tuple[int, ...] = Field((), description="model: voxels that the net sees at once, Z,Y,X; default: its crop")
    margin: tuple[int, ...] = Field(
        (), description="model: voxels of each patch's rim that are not used; default: an eighth of it"
    )
    overlap: tuple[int, ...] = Field(
        (), description="model: voxels that neighbours share of what is used; default: a quarter"
    )
    flips: bool = Field(False, description="model: average over flipped views too; 4 to 8 times the cost")
    weighting: Literal["bump", "gaussian", "flat"] = Field("bump", description="model: how a patch fades to its rim")

    def tiling(self, shape: Triple, meaning: Meaning) -> Tiling:
        """The patches of a volume.

        Raises:
            SpecError: if sizes do not fit each other.
        """
        patch = triple(self.patch, "patch") if self.patch else meaning.crop
        margin = triple(self.margin, "margin") if self.margin else _parts(patch, 8)
        used = _zyx(p - 2 * m for p, m in zip(patch, margin, strict=True))
        overlap = triple(self.overlap, "overlap") if self.overlap else _parts(used, 4)
        try:
            return Tiling(shape, patch, margin, overlap)
        except ValueError as error:
            raise SpecError(f"patch: {error}") from None


def _parts(sizes: Zyx, count: int) -> Zyx:
    return _zyx(size // count for size in sizes)


def _zyx(values: Iterable[int]) -> Zyx:
    z, y, x = values
    return z, y, x
