"""A box of a volume that is kept from training, answered and scored now and then: what the best weights are chosen by.

A net is applied to it as `infer` applies it by default, on the same patches of the volume's grid, so that the scores
are those of what `infer` would write. Workers answer its sections (of a net of pictures) or blocks (of one of volumes)
by turns. The box is held in memory, at about 20 bytes a voxel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.training.crew import Crew
from jobs.training.crops import labels_of
from jobs.volumes.opening import Opened, at
from vision import names
from vision.accumulator import Array, Estimate
from vision.connectomics import judging
from vision.connectomics.batches import Device, inference
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.estimates import Scored
from vision.connectomics.grey import Grey
from vision.connectomics.inference import Inference, Meaning, View, as_boundary
from vision.connectomics.isbi import mean
from vision.connectomics.learning import Objective
from vision.connectomics.targets import UNKNOWN
from vision.connectomics.tiles import Tiling
from vision.corpora.volumes import Address

if TYPE_CHECKING:
    import torch

    from jobs.training.course import Course

MOST = 2**28
"""Voxels that are held in memory."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is validated on, as plain values that travel to workers.

    Attributes:
        volume, truth: image and labels of the same voxels.
        box: of them, which no crop is cut from.
        block: what one worker answers at once, in three dimensions.
        tiling: the patches of the volume.
        grey: sums of the grey levels of the sections that the box touches.
        planar: whether the net takes one section as a picture.
    """

    volume: Address
    truth: Address
    box: Box
    block: Zyx
    tiling: Tiling
    objective: Objective
    grey: Grey
    planar: bool

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is scored; the first one chooses the best weights where none is named."""
        return (*(judging.PLANAR if self.planar else judging.SOLID), "loss", *self.objective.measured)

    def parts(self) -> list[Box]:
        """What is answered at once: sections, or blocks."""
        size = (1, *self.box.shape[1:]) if self.planar else self.block
        grid = Grid(self.box.shape, _zyx(min(s, most) for s, most in zip(size, self.box.shape, strict=True)))
        return [Box(_sum(block.write.begin, self.box.begin), _sum(block.write.end, self.box.begin)) for block in grid]

    def validation(self, course: Course, decoders: int) -> Judge:
        return Judge(self, course)


@dataclass(frozen=True, eq=False)
class Part:
    """What came of a part: its number, what the objective said, and its boundaries (Z, Y, X) uint8."""

    number: int
    loss: float
    right: float
    boundary: Array


class Judge:
    """Scores weights on a box."""

    def __init__(self, held: HeldOut, course: Course) -> None:
        self._held, self._model, self._parts = held, course.model, held.parts()
        self._net: Any = None

    def scored(self, state: Mapping[str, torch.Tensor], crew: Crew) -> dict[str, float]:
        """The metrics of weights, by name; the same for every worker."""
        return {name: estimate.value for name, estimate in self.estimates(state, crew).items()}

    def estimates(self, state: Mapping[str, torch.Tensor], crew: Crew) -> dict[str, Estimate]:
        """The metrics with 95 % limits over sections, or over neurons (scores) and blocks (what is learned)."""
        working, held = self._inference(state, crew), self._held
        mine = [self._part(working, number) for number in range(crew.rank, len(self._parts), crew.size)]
        parts = sorted(chain(*crew.gather(mine)), key=lambda part: part.number)
        boundary = np.zeros(held.box.shape, np.uint8)
        for part in parts:
            boundary[self._parts[part.number].within(held.box.begin)] = part.boundary
        found = self._of_sections(boundary, crew) if held.planar else judging.of_volume(boundary, self._truth)
        losses, right = (np.array(values) for values in zip(*((part.loss, part.right) for part in parts), strict=True))
        found["loss"] = Scored.ratio(losses, np.ones(len(losses))).estimate()
        found[held.objective.measured[0]] = mean(right)
        return found

    def _of_sections(self, boundary: Array, crew: Crew) -> dict[str, Estimate]:
        mine = slice(crew.rank, None, crew.size)
        return judging.of_sections(crew.gather(judging.tried(boundary[mine], self._truth[mine])))

    @cached_property
    def _volumes(self) -> tuple[Opened, Opened]:
        return at(self._held.volume, "volume"), at(self._held.truth, "truth", labels=True)

    @cached_property
    def _truth(self) -> Array:
        """(Z, Y, X) int64 ids of the box; 0 where it is unknown."""
        known = self._held.objective.known(self._volumes[1].read(self._held.box))
        return np.where(known == UNKNOWN, 0, known)

    def _inference(self, state: Mapping[str, torch.Tensor], crew: Crew) -> Inference:
        """A second net with these weights, at work."""
        held = self._held
        if self._net is None:
            self._net = names.net(self._model.net, dict(self._model.arguments)).eval().requires_grad_(False)
        self._net.load_state_dict(state)
        view = View(held.tiling, held.grey.levels(held.objective.normalise))
        device = Device.of(crew.device, held.tiling.patch)
        return inference(self._model, view, self._volumes[0].read, device, self._net)

    def _part(self, working: Inference, number: int) -> Part:
        import torch

        box, objective = self._parts[number], self._held.objective
        answers = working.answers(box)
        probability = torch.from_numpy(answers).float().clamp(0.5, 254.5) / 255
        taught = objective.taught(labels_of(self._volumes[1], objective, box, self._held.box))
        loss, right = objective.loss(torch.logit(probability)[None], torch.from_numpy(taught)[None])
        return Part(number, float(loss), float(right), as_boundary(answers, working.meaning))


def check(meaning: Meaning, box: Box) -> None:
    """Refuse what cannot be scored.

    Raises:
        ValueError: if a net's outputs give no boundaries, or a box does not fit into memory.
    """
    as_boundary(np.zeros((meaning.channels, 1, 1, 1), np.uint8), meaning)
    if box.voxels > MOST:
        raise ValueError(f"{box.voxels:,} voxels are more than the {MOST:,} that are held in memory")


def _sum(one: Zyx, other: Zyx) -> Zyx:
    return _zyx(a + b for a, b in zip(one, other, strict=True))


def _zyx(values: Any) -> Zyx:
    z, y, x = values
    return z, y, x
