"""What else is made of labels: neuroglancer's precomputed, with surfaces and centrelines of segments beside it.

Each is a stage, and what lies outside of volumes and lists (a file a segment) is checked before and written after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs import storage
from jobs.segmenting import centrelines, meshes, precomputed
from jobs.segmenting.stages import Stages
from jobs.stages.cost import Pace
from jobs.stages.stage import Stage
from vision.corpora.volumes import Address

Carry = Callable[[Stage], None]

USUAL = {
    "precomputed": Pace(1e-6 / 40, 0.05, False),
    "meshes": Pace(1e-6 / 2.7, 8.0, False),
    "centrelines": Pace(1e-6 / 0.8, 0.4, False),
}
"""Core-seconds and bytes left a voxel, measured on a segmentation of FIB-25 in a block of 128^3."""


@dataclass(frozen=True)
class Copies:
    """What is made of the labels of a threshold."""

    stages: Stages
    threshold: float

    @property
    def url(self) -> str:
        """Of the precomputed volume."""
        return self.stages.named("precomputed", self.threshold)

    def carry_out(self, carry: Carry) -> None:
        """Make all that the job asks for; `carry` does a stage."""
        job = self.stages.job
        if job.copied:
            self._precomputed.begin()
            carry(self._stage("precomputed"))
        if job.meshes:
            self._meshes(carry)
        if job.centrelines:
            self._centrelines(carry)

    def costs(self) -> list[tuple[Stage, Pace]]:
        """What of it the job asks for, and what that is known to cost."""
        job = self.stages.job
        asked = {"precomputed": job.copied, "meshes": job.meshes, "centrelines": job.centrelines}
        return [(self._stage(name), USUAL[name]) for name, wanted in asked.items() if wanted]

    def _stage(self, name: str) -> Stage:
        work, folder, each = {
            "precomputed": (self._precomputed, "copied", precomputed.BYTES_A_VOXEL),
            "meshes": (self._meshing, "made", meshes.BYTES_A_VOXEL),
            "centrelines": (self._tracing, "made", centrelines.BYTES_A_VOXEL),
        }[name]
        return self.stages.of_labels(name, self.threshold, work, folder, each)

    @property
    def _precomputed(self) -> precomputed.Precomputed:
        volume, asked = self.stages.inputs.volume, (self.stages.job.meshes, self.stages.job.centrelines)
        beside = tuple(name for name, wanted in zip(precomputed.BESIDE, asked, strict=True) if wanted)
        grid = self.stages.region.grid
        return precomputed.Precomputed(self._labels, self.url, grid, volume.voxel_nm, volume.offset_nm, beside)

    @property
    def _meshing(self) -> meshes.Meshing:
        volume, region = self.stages.inputs.volume, self.stages.region
        return meshes.Meshing(self._labels, self.url, region, volume.voxel_nm, volume.offset_nm)

    @property
    def _tracing(self) -> centrelines.Tracing:
        volume, region = self.stages.inputs.volume, self.stages.region
        return centrelines.Tracing(self._labels, region, volume.voxel_nm, volume.offset_nm)

    def _meshes(self, carry: Carry) -> None:
        work, stage = self._meshing, self._stage("meshes")
        for url in meshes.torn(work, _lists(stage)):
            storage.remove(url)  # so that the group is done again
        carry(stage)
        meshes.publish(work, _lists(stage))

    def _centrelines(self, carry: Carry) -> None:
        stage = self._stage("centrelines")
        carry(stage)
        centrelines.publish(self._tracing, _lists(stage), self.stages.named("skeletons", self.threshold), self.url)

    @property
    def _labels(self) -> Address:
        return Address(self.stages.labels_at(self.threshold))


def _lists(stage: Stage) -> Iterator[str]:
    """The files of a stage's groups."""
    return (storage.join(stage.folder or "", stage.file(group)) for group in range(stage.region.groups))
