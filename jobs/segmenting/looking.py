"""The fields of a segmentation that say how it is looked at: copies for neuroglancer, and whose list is read first."""

from __future__ import annotations

from pydantic import Field

from jobs.segmenting.applying import Applying
from jobs.segmenting.showing import PAGE


class Looking(Applying):
    """How a segmentation is looked at."""

    precomputed: bool = Field(False, description="labels also as a neuroglancer precomputed volume (tensorstore)")
    meshes: bool = Field(False, description="surfaces of segments beside precomputed labels")
    centrelines: bool = Field(
        False, description="skeletons of segments: SWC files, and beside precomputed labels (bioimage-cpp)"
    )
    candidates: int = Field(0, ge=0, description="how many likely errors to list for proofreaders, best first")
    proofreader: str | None = Field(
        None, description="model folder or models:/NAME@ALIAS of `run proofread`, which ranks the candidates"
    )
    decisions: str | None = Field(
        None, description="the list with a column `verdict` (yes, no): what is accepted is applied to the labels"
    )
    serve_from: tuple[str, ...] = Field(
        (), description="URL where a browser reads the output folder, or FOLDER=URL for each folder"
    )
    neuroglancer: str = Field(PAGE, description="page of neuroglancer that the report's link opens")

    @property
    def copied(self) -> bool:
        """Whether labels are written as precomputed too."""
        return self.precomputed or self.meshes or self.centrelines
