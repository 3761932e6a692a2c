"""The fields of a job that applies a net to a volume: how patches lie, and how what they say is put together."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jobs.segmenting.computing import Computing
from jobs.spec import SpecError
from jobs.stages.asking import Blocks, triple
from vision.connectomics.inference import Meaning
from vision.connectomics.tiles import Tiling, usual
from vision.corpora.volumes import Triple


class Applying(Computing, Blocks):
    """How a net is applied."""

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
        margin, overlap = usual(patch, triple(self.margin, "margin") if self.margin else None)
        overlap = triple(self.overlap, "overlap") if self.overlap else overlap
        try:
            return Tiling(shape, patch, margin, overlap)
        except ValueError as error:
            raise SpecError(f"patch: {error}") from None
