"""A net applied to a volume in two stages: grey levels of sections are summed up, then patches are answered.

Both are pure functions of block, volume and model, and sums of grey levels add up, so what comes out is the same for
any blocks. Affinities become a boundary map as they are made: kept is a byte a voxel, and all channels only if asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Literal

import numpy as np

from jobs import storage
from jobs.segmenting.applying import Applying
from jobs.spec import Context, JobFailed, SpecError
from jobs.stages import cost, course
from jobs.stages.cost import Pace
from jobs.stages.course import Done
from jobs.stages.region import Region
from jobs.stages.stage import Made, Stage
from jobs.volumes.opening import Opened, at, opened
from jobs.volumes.writing import Target
from vision import kernel
from vision.connectomics.batches import Device, inference
from vision.connectomics.blocks import Block, Box, Grid
from vision.connectomics.grey import TYPES, Grey
from vision.connectomics.inference import Meaning, View, as_boundary
from vision.connectomics.tiles import Tiling, Weighting
from vision.corpora.volumes import Address
from vision.model import Model

Keep = Literal["boundaries", "affinities"]
STATISTICS, INFER = "greys", "infer"
BYTES_A_VOXEL, BYTES_A_CHANNEL = 16, 40
"""Memory for each voxel of a block: grey levels before and after; sums, weights and answers of each channel."""

NET_BYTES, BYTES_A_PATCH_VOXEL = 500 * 2**20, 600
"""torch and answers that are kept; maps of a U-Net of width 12, measured, for each voxel of a patch."""


@dataclass(frozen=True)
class Statistics:
    """How grey levels are summed; picklable."""

    volume: Address
    box: Box

    def make(self) -> Summing:
        """What works, where it lives."""
        return Summing(self)


class Summing:
    """Sums grey levels of blocks."""

    def __init__(self, how: Statistics) -> None:
        self._box, self._volume = how.box, at(how.volume, "volume")

    def block(self, block: Block) -> Made:
        inside = block.write.meet(self._box)
        return Made(part=Grey.of(self._volume.read(inside), inside.begin[0], self._volume.volume.shape[0]))

    def seal(self, parts: Sequence[Grey]) -> bytes:
        sums = reduce(Grey.merge, parts).sums
        seen = np.flatnonzero(sums[:, 0])
        return json.dumps({"sections": seen.tolist(), "sums": sums[seen].tolist()}).encode() + b"\n"


def added(files: Sequence[bytes], sections: int) -> Grey:
    """The sums of all groups."""
    sums = np.zeros((sections, 3), np.int64)
    for facts in map(json.loads, files):
        if facts["sections"]:
            sums[facts["sections"]] += np.array(facts["sums"], np.int64)
    return Grey(sums)


@dataclass(frozen=True)
class Applied:
    """How a net is applied to blocks; picklable."""

    volume: Address
    model: Model
    tiling: Tiling
    grey: Grey
    flips: bool
    weighting: Weighting
    box: Box
    keep: Keep
    device: Device

    def make(self) -> Answering:
        """What works, where it lives."""
        return Answering(self)


class Answering:
    """Answers for blocks.

    Raises:
        JobFailed: if there is no such device.
    """

    def __init__(self, how: Applied) -> None:
        self._how, volume = how, at(how.volume, "volume")
        levels = how.grey.levels(Meaning.of(how.model).normalise)  # type: ignore[arg-type]
        view = View(how.tiling, levels, how.flips, how.weighting)
        try:
            self._inference = inference(how.model, view, volume.read, how.device)
        except ValueError as error:
            raise JobFailed(f"{INFER}: {error}") from None

    def block(self, block: Block) -> Made:
        inside = block.write.meet(self._how.box)
        answers = self._inference.answers(inside)
        if self._how.keep == "boundaries":
            answers = as_boundary(answers, self._inference.meaning)
        found = np.zeros((*answers.shape[:-3], *block.write.shape), np.uint8)
        found[(..., *inside.within(block.write.begin))] = answers
        return Made(found)


@dataclass(frozen=True, eq=False)
class Inferring:
    """A net and a volume, held against each other before any work.

    Attributes:
        place: URL of the volume that comes out.
    """

    job: Applying
    output: str
    place: str
    volume: Opened
    model: Model
    meaning: Meaning
    keep: Keep

    @classmethod
    def of(
        cls, job: Applying, volume: str | None, output: str, context: Context, keep: Keep = "boundaries"
    ) -> Inferring:
        """From a job's fields.

        Raises:
            SpecError: if one is missing or does not fit.
        """
        if volume is None or job.model is None:
            raise SpecError(f"{'volume' if job.model else 'model'}: a net needs both --model and --volume")
        found, model = opened(volume, "volume", job.scale), context.model(job.model)
        if model.folder is not None:  # workers have other working directories
            model = replace(model, folder=model.folder.absolute())
        if found.volume.channels or found.volume.dtype not in TYPES:
            raise SpecError(f"volume: {found.address} holds {found.volume.dtype}; a net takes {' or '.join(TYPES)}")
        try:
            meaning = Meaning.of(model)
            if keep == "boundaries":
                as_boundary(np.zeros((meaning.channels, 1, 1, 1), np.uint8), meaning)
        except ValueError as error:
            raise SpecError(f"model: {error}") from None
        if keep == "affinities" and not meaning.offsets:
            raise SpecError(f"keep: {job.model} answers with boundaries, and has no affinities to keep")
        made = cls(job, output, storage.join(output, keep), found, model, meaning, keep)
        made.tiling  # noqa: B018 - sizes that do not fit are told now
        return made

    @cached_property
    def region(self) -> Region:
        return self.job.region(self.volume.volume.shape, (0, 0, 0))

    @cached_property
    def tiling(self) -> Tiling:
        return self.job.tiling(self.volume.volume.shape, self.meaning)

    @cached_property
    def device(self) -> Device:
        return self.job.device(self.tiling.patch)

    def statistics(self) -> Stage:
        """Sums of the grey levels of all that patches see."""
        seen = self.tiling.reads(self.region.box)
        grid = Grid(self.region.grid.shape, self.region.grid.size)
        work = Statistics(self.volume.address, seen)
        facts = {"input": self.volume.facts()}
        folder, size = storage.join(self.output, STATISTICS), np.dtype(self.volume.volume.dtype).itemsize + 16
        return Stage(
            STATISTICS, facts, work.make, Region(grid, seen), None, folder, ".json", grid.voxels_per_block * size
        )

    def grey(self) -> Grey:
        """What the first stage left."""
        stage = self.statistics()
        assert stage.folder is not None
        files = [storage.read(storage.join(stage.folder, stage.file(group))) for group in range(stage.region.groups)]
        return added(files, self.volume.volume.shape[0])

    def stage(self, grey: Grey, device: Device | None = None) -> Stage:
        """The net, block by block, on the job's device or on another one.

        Raises:
            SpecError: if there is nothing to see.
        """
        job, tiling, region, channels = self.job, self.tiling, self.region, self.meaning.channels
        device = device or self.device
        try:
            grey.levels(self.meaning.normalise)  # type: ignore[arg-type]
        except ValueError as error:
            raise SpecError(f"volume: {error}") from None
        facts = {
            "input": self.volume.facts(), "model": self.model.digest, "patch": list(tiling.patch),
            "margin": list(tiling.margin), "overlap": list(tiling.overlap), "flips": job.flips,
            "weighting": job.weighting, "keep": self.keep, **self._kernel(device),
        }  # fmt: skip
        work = Applied(
            self.volume.address, self.model, tiling, grey, job.flips, job.weighting, region.box, self.keep, device
        )
        each = BYTES_A_VOXEL + BYTES_A_CHANNEL * channels
        patches = device.batch if device.name == "cpu" else 0  # a GPU has a memory of its own
        net = NET_BYTES + BYTES_A_PATCH_VOXEL * math.prod(tiling.patch) * patches
        stage = Stage(INFER, facts, work.make, region, memory=net + region.grid.voxels_per_block * each)
        about = {"model": self.model.digest, "made_by": stage.fingerprint, **dict(self.model.decoding)}
        found = self.volume.volume
        target = Target(
            self.place, region.grid, "uint8", found.voxel_nm, found.offset_nm, about,
            channels if self.keep == "affinities" else 0,
        )  # fmt: skip
        return Stage(INFER, facts, work.make, region, target, memory=stage.memory, gpus=job.gpus_per_worker)

    def _kernel(self, device: Device) -> Mapping[str, str]:
        """What computes, where it is not one patch after the other in float32 on a CPU."""
        if device.usual:
            return {}
        return {"kernel": kernel.name(self.model, device.name, device.batch, "torch", device.precision)}

    def cost(self) -> Mapping[str, str]:
        """What it would cost, from the block in the middle, whose own grey levels stand for those of the volume.

        The block is answered on a CPU: whoever asks may have no GPU.
        """
        region = self.region
        block = region.grid.block(region.number(len(region) // 2))
        grey = Grey.of(self.volume.read(block.write), block.write.begin[0], self.volume.volume.shape[0])
        if not grey.sums.any():
            grey = Grey(np.ones_like(grey.sums))
        on_gpu = self.device.name != "cpu"
        stage = self.stage(grey, Device() if on_gpu else None)
        stages = [(self.statistics(), Pace(1e-6 / 100, 0.0, False)), (stage, cost.probe(stage))]
        facts = cost.of_stages(stages, self.volume.volume, self.job.workers)
        return {**facts, "device": "hours are those of a CPU; no GPU was tried"} if on_gpu else facts

    def carry_out(self, context: Context) -> list[tuple[str, Done]]:
        """Both stages, as far as they are missing.

        Raises:
            SpecError: if the output holds other work.
            JobFailed: if a block cannot be done.
        """
        first = course.carry_out(self.output, self.statistics(), self.job, context)
        second = course.carry_out(self.output, self.stage(self.grey()), self.job, context)
        context.log(f"{INFER}: {second.made:,} of {second.blocks:,} blocks were done now")
        return [(STATISTICS, first), (INFER, second)]
