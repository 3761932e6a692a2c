"""What else is made of labels: neuroglancer's precomputed, with surfaces and centrelines of segments beside it.

Each is a stage, and what lies outside of volumes and lists (a file a segment) is checked before and written after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs import storage
from jobs.segmenting import centrelines, meshes, precomputed
from jobs.segmenting.stages import Stages
from jobs.stages.stage import Stage
from vision.corpora.volumes import Address

Carry = Callable[[Stage], None]


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
            work = self._precomputed()
            work.begin()
            carry(self.stages.of_labels("precomputed", self.threshold, work, "copied", precomputed.BYTES_A_VOXEL))
        if job.meshes:
            self._meshes(carry)
        if job.centrelines:
            self._centrelines(carry)

    def _precomputed(self) -> precomputed.Precomputed:
        volume, asked = self.stages.inputs.volume, (self.stages.job.meshes, self.stages.job.centrelines)
        beside = tuple(name for name, wanted in zip(precomputed.BESIDE, asked, strict=True) if wanted)
        grid = self.stages.region.grid
        return precomputed.Precomputed(self._labels, self.url, grid, volume.voxel_nm, volume.offset_nm, beside)

    def _meshes(self, carry: Carry) -> None:
        volume, region = self.stages.inputs.volume, self.stages.region
        work = meshes.Meshing(self._labels, self.url, region, volume.voxel_nm, volume.offset_nm)
        stage = self.stages.of_labels("meshes", self.threshold, work, "made", meshes.BYTES_A_VOXEL)
        for url in meshes.torn(work, _lists(stage)):
            storage.remove(url)  # so that the group is done again
        carry(stage)
        meshes.publish(work, _lists(stage))

    def _centrelines(self, carry: Carry) -> None:
        volume, region = self.stages.inputs.volume, self.stages.region
        work = centrelines.Tracing(self._labels, region, volume.voxel_nm, volume.offset_nm)
        stage = self.stages.of_labels("centrelines", self.threshold, work, "made", centrelines.BYTES_A_VOXEL)
        carry(stage)
        centrelines.publish(work, _lists(stage), self.stages.named("skeletons", self.threshold), self.url)

    @property
    def _labels(self) -> Address:
        return Address(self.stages.labels_at(self.threshold))


def _lists(stage: Stage) -> Iterator[str]:
    """The files of a stage's groups."""
    return (storage.join(stage.folder or "", stage.file(group)) for group in range(stage.region.groups))
