"""A net applied to a volume, so that a voxel's answer depends on the volume alone and never on the block it is in.

Each patch of the global grid (`tiles`) is answered by itself, in a batch of one shape, from grey levels normalised by
the statistics of the volume or of its sections; so its answer is one and the same whichever block asks for it, and
blending is in whole numbers. Flipped views are answered too where asked for, turned back and averaged: 4 times the cost
within sections, 8 times in three dimensions.

A net of pictures answers for each section of a patch by itself. `batches` does all of it on a device, many patches
at once.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from vision.accumulator import Array
from vision.connectomics.affinities import turned_back
from vision.connectomics.blocks import Box, Zyx
from vision.connectomics.grey import Levels
from vision.connectomics.tiles import Blend, Patch, Tiling, Weighting
from vision.dimensions import dimensions
from vision.model import Model

if TYPE_CHECKING:
    import torch

KEPT_BYTES = 64 * 2**20
"""Answers of patches that are kept for neighbouring blocks."""


@dataclass(frozen=True)
class Meaning:
    """What a model's outputs mean and what it expects, as training wrote it down.

    Attributes:
        kind: boundaries or affinities.
        offsets: of the channels, voxels; none for boundaries.
        normalise: whose statistics make grey levels comparable.
        crop: (z, y, x) that it was trained on.
    """

    kind: str
    offsets: tuple[Zyx, ...]
    normalise: str
    crop: Zyx

    @classmethod
    def of(cls, model: Model) -> Meaning:
        """What a model carries.

        Raises:
            ValueError: if it carries nothing, because it is no model of volumes.
        """
        facts = model.decoding
        if model.task != "connectomics" or not facts:
            raise ValueError(
                f"{model.net} says nothing of volumes: a model of them comes from `safelight run train --volume V`"
            )
        offsets = tuple(_zyx(offset) for offset in facts["offsets"])
        return cls(facts["targets"], offsets, facts["normalise"], _zyx(facts["crop"]))

    @property
    def channels(self) -> int:
        return len(self.offsets) or 1


@dataclass(frozen=True, eq=False)
class View:
    """How a volume is looked at.

    Attributes:
        tiling: the patches.
        levels: of grey, by section of the volume.
        flips: answer flipped views too.
        weighting: of a patch's voxels.
    """

    tiling: Tiling
    levels: Levels
    flips: bool = False
    weighting: Weighting = "bump"


class Inference:
    """A net at work on a volume.

    Args:
        model: from training on volumes.
        view: how the volume is looked at.
        read: gives the grey levels (z, y, x) of a box inside it.
        net: the model's, where it is at hand already, in evaluation mode; without it, it is built.

    Raises:
        ValueError: if the model is no such one, or its net loses more at the rim than the margin.
    """

    def __init__(
        self, model: Model, view: View, read: Callable[[Box], Array], net: torch.nn.Module | None = None
    ) -> None:
        import torch

        torch.set_num_threads(1)  # sums of several threads would depend on how many there are
        self.meaning, self._view, self._read = Meaning.of(model), view, read
        self._net: Any = model.build() if net is None else net
        self._planar = dimensions(self._net) == 2
        self._flips: list[tuple[int, ...]] = list(_flips(view.tiling.patch, self._planar)) if view.flips else [()]
        self._kept: OrderedDict[Zyx, tuple[Array, Array]] = OrderedDict()
        self.forwards = 0

    def answers(self, box: Box) -> Array:
        """(C, Z, Y, X) uint8 probabilities of a box, 255 = 1.

        Raises:
            ValueError: if the net fails on a patch, or answers with another size.
        """
        tiling = self._view.tiling
        blend = Blend(tiling, box, self.meaning.channels, self._view.weighting)
        wanted = list(tiling.patches(box))
        image: Array | None = None
        around = tiling.reads(box)
        for patch in wanted:
            if patch.read.begin not in self._kept:
                if image is None:
                    image = self._image(around)
                self._keep(patch, self._answered(tiling.cut(image, around.begin, patch)))
            blend.add(patch, *self._kept[patch.read.begin])
        return blend.result()

    def boundary(self, box: Box) -> Array:
        """(Z, Y, X) uint8, 255 = a certain boundary; of affinities 255 minus the mean of the nearest ones."""
        return as_boundary(self.answers(box), self.meaning)

    def _image(self, box: Box) -> Array:
        """(z, y, x) float32, normalised."""
        return self._view.levels.apply(self._read(box), np.arange(box.begin[0], box.end[0]))

    def _keep(self, patch: Patch, answer: tuple[Array, Array]) -> None:
        """Remember an answer for neighbouring blocks; the oldest go."""
        most = max(1, KEPT_BYTES // max(1, answer[0].nbytes + answer[1].nbytes))
        while len(self._kept) >= most:
            self._kept.popitem(last=False)
        self._kept[patch.read.begin] = answer

    def _answered(self, image: Array) -> tuple[Array, Array]:
        """A patch's probabilities, averaged over its views, and which are known: (C, Z, Y, X) float32 and bool."""
        shape = (self.meaning.channels, *image.shape)
        if not image.any():  # not imaged: nothing is inside of a neuron
            return np.full(shape, np.float32(not self.meaning.offsets)), np.ones(shape, bool)
        total, seen = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        for axes in self._flips:
            found, known = turned_back(self._forward(np.flip(image, axes)), self.meaning.offsets, axes)
            total += found * known
            seen += known
        return total / np.maximum(seen, 1, dtype=np.float32), seen > 0

    def _forward(self, image: Array) -> Array:
        """(C, Z, Y, X) probabilities of one view; what a net without padding does not answer for is 0."""
        import torch

        inputs = torch.from_numpy(np.ascontiguousarray(image))
        with torch.inference_mode():
            if self._planar:
                parts = [self._net(section[None, None]) for section in inputs]
                logits = torch.stack([first_of(part) for part in parts], dim=2)
            else:
                logits = first_of(self._net(inputs[None, None]))
        self.forwards += 1
        answers: Array = torch.sigmoid(logits)[0].float().numpy()
        return self._padded(answers, image.shape)

    def _padded(self, found: Array, shape: tuple[int, ...]) -> Array:
        """With zeros where a net without padding says nothing; margins cut them off."""
        lost = self._lost(found.shape, shape)
        return np.asarray(np.pad(found, [(0, 0), *lost])) if any(map(any, lost)) else found

    def _lost(self, found: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, int]]:
        """Voxels before and after along each axis that an answer (C, Z, Y, X) lacks of a patch (Z, Y, X)."""
        channels, margin = self.meaning.channels, self._view.tiling.margin
        lost = [(full - own) / 2 for full, own in zip(shape, found[1:], strict=True)]
        if found[0] != channels or any(not 0 <= less <= most for less, most in zip(lost, margin, strict=True)):
            raise ValueError(
                f"the net answers {found} for a patch of {shape}; with a margin of {margin} it may lose no more"
            )
        return [(int(less), math.ceil(less)) for less in lost]


def as_boundary(answers: Array, meaning: Meaning) -> Array:
    """(Z, Y, X) uint8 boundaries of answers (C, Z, Y, X).

    Raises:
        ValueError: if affinities lack a nearest neighbour in the section.
    """
    if not meaning.offsets:
        only: Array = answers[0]
        return only
    near = [k for k, offset in enumerate(meaning.offsets) if sum(map(abs, offset)) == 1]
    if not {1, 2} <= {axis for k in near for axis in range(3) if meaning.offsets[k][axis]}:
        raise ValueError(f"a boundary needs nearest neighbours along y and x, and offsets are {meaning.offsets}")
    total = answers[near].sum(axis=0, dtype=np.uint16)
    return np.asarray(255 - (total + len(near) // 2) // len(near), np.uint8)


def first_of(outputs: Any) -> torch.Tensor:
    """The logits of a net's own head, the auxiliary ones aside."""
    from vision.auxiliary import heads

    logits: torch.Tensor = heads(outputs)[0][1]
    return logits


def _flips(patch: Zyx, planar: bool) -> Iterator[tuple[int, ...]]:
    """The sets of axes along which a view is flipped; sections of pictures are not put in another order."""
    axes = [1, 2] if planar or patch[0] == 1 else [0, 1, 2]
    for count in range(len(axes) + 1):
        yield from combinations(axes, count)


def _zyx(values: Any) -> Zyx:
    z, y, x = (int(value) for value in values)
    return z, y, x
