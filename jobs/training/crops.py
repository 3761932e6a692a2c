"""Crops of a volume as records of a training: where each lies is a function of (seed, epoch, number) and nothing else.

A block of the region is drawn, then a place in it, so that blocks of any size are met alike often and a crop reads few
chunks. A crop without a known label is drawn again, up to `TRIES` times. Any number of workers, and a restart at any
step, see the same crops, for nothing is drawn in sequence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jobs.training.source import Place
from jobs.volumes.opening import Opened, at
from vision.accumulator import Array
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.grey import Grey
from vision.connectomics.learning import Objective
from vision.connectomics.targets import UNKNOWN
from vision.connectomics.varying import Variation
from vision.corpora.volumes import Address
from vision.draws import mix, uniform

if TYPE_CHECKING:
    import torch

    from jobs.training.course import Course

TRIES = 8
SLAB_BYTES = 2**28
_PLACE, _VARIED = 1, 2  # what a draw is for


@dataclass(frozen=True, eq=False)
class Crops:
    """Where crops come from.

    Attributes:
        volume, truth: image and labels of the same voxels.
        box: crops lie within it.
        block: blocks of the region that are drawn.
        count: crops of an epoch.
        grey: sums of the grey levels that normalise, of every section of the volume.
        planar: whether the net takes one section as a picture.
    """

    volume: Address
    truth: Address
    box: Box
    block: Zyx
    count: int
    objective: Objective
    variation: Variation
    grey: Grey
    planar: bool

    @property
    def sizes(self) -> Array:
        """One unit: crops have no order of their own."""
        return np.array([self.count], np.int64)

    def feeder(self, course: Course, decoders: int) -> Cropper:
        return Cropper(self)


@dataclass(frozen=True)
class Cut:
    """A micro-batch: (B, Z, Y, X) float32 pictures, (B, C, Z, Y, X) uint8 targets, and where the crops began."""

    pixels: Array
    targets: Array
    ids: tuple[str, ...]


class Cropper:
    """Cuts crops."""

    def __init__(self, crops: Crops) -> None:
        self._crops = crops
        self._levels = crops.grey.levels(crops.objective.normalise)
        self.broken: dict[str, str] = {}

    @cached_property
    def _volumes(self) -> tuple[Opened, Opened]:
        return at(self._crops.volume, "volume"), at(self._crops.truth, "truth", labels=True)

    def fetch(self, wanted: Array) -> Mapping[int, Any]:
        """Nothing: a crop is read when it is cut, for a window of them would not fit into memory."""
        return {}

    def pictures(self, rows: Array, encoded: Mapping[int, Any], *parts: int) -> Cut:
        """Crops with their targets; `parts` are seed and epoch."""
        made = [self._cut(mix(*parts, int(row))) for row in rows]
        pixels, targets, begins = zip(*made, strict=True)
        ids = tuple(f"{row}@{','.join(map(str, begin))}" for row, begin in zip(rows, begins, strict=True))
        return Cut(np.stack(pixels), np.stack(targets), ids)

    def inputs(self, part: Cut, place: Place) -> torch.Tensor:
        """(B, 1, Y, X) or (B, 1, Z, Y, X) float32."""
        found = place(part.pixels)
        return found if self._crops.planar else found.unsqueeze(1)

    def _cut(self, key: Array) -> tuple[Array, Array, Zyx]:
        crops, objective = self._crops, self._crops.objective
        for attempt in range(TRIES):
            begin = self._begin(mix(key, _PLACE, attempt))
            labels = self._labels(begin)
            inner = tuple(slice(far, size - far) for far, size in zip(objective.reach, labels.shape, strict=True))
            if (labels[inner] != UNKNOWN).any():
                break
        box = _box(begin, objective.crop)
        grey = self._volumes[0].read(box)
        image = self._levels.apply(grey, np.arange(box.begin[0], box.end[0]))
        image, labels = crops.variation.apply(image, labels, mix(key, _VARIED))
        return np.ascontiguousarray(image), objective.taught(labels), begin

    def _begin(self, key: Array) -> Zyx:
        """Where a crop begins: a block of the region by its share of places, then a place in it."""
        crops = self._crops
        room = _zyx(e - b - c + 1 for b, e, c in zip(*crops.box, crops.objective.crop, strict=True))
        grid = Grid(room, _zyx(min(size, most) for size, most in zip(crops.block, room, strict=True)))
        which, *within = uniform(key, 4)[0]
        box = grid.block(int(which * len(grid))).write
        places = (b + int(u * n) for b, n, u in zip(box.begin, box.shape, within, strict=True))
        return _zyx(place + first for place, first in zip(places, crops.box.begin, strict=True))

    def _labels(self, begin: Zyx) -> Array:
        crops = self._crops
        return labels_of(self._volumes[1], crops.objective, _box(begin, crops.objective.crop), crops.box)


def _box(begin: Zyx, shape: Zyx) -> Box:
    return Box(begin, _zyx(b + s for b, s in zip(begin, shape, strict=True)))


def _zyx(values: Any) -> Zyx:
    return cast(Zyx, tuple(int(value) for value in values))


def labels_of(truth: Opened, objective: Objective, box: Box, within: Box) -> Array:
    """Labels (int64) of a box and of what its targets reach; `UNKNOWN` outside of `within`."""
    wanted = box.grown(objective.reach)
    inside = wanted.meet(within)
    found = np.full(wanted.shape, UNKNOWN, np.int64)
    found[inside.within(wanted.begin)] = objective.known(truth.read(inside))
    return found


def survey(volume: Opened, truth: Opened, box: Box, objective: Objective) -> tuple[Grey, tuple[int, int]]:
    """Grey levels of every section that the region touches, and how many of its voxels have a known label and label 0.

    Sections are read whole, as many at once as lie in one chunk, so that each is normalised here as it is where a model
    is applied to all of the volume.
    """
    grey, known, zero = Grey.zero(volume.volume.shape[0]), 0, 0
    for first in range(box.begin[0], box.end[0], _slab(volume)):
        last = min(first + _slab(volume), box.end[0])
        seen = volume.read(Box((first, 0, 0), (last, *volume.volume.shape[1:])))
        grey = grey.merge(Grey.of(seen, first, len(grey.sums)))
        labels = objective.known(truth.read(Box((first, *box.begin[1:]), (last, *box.end[1:]))))
        known += int((labels != UNKNOWN).sum())
        zero += int((labels == 0).sum())
    return grey, (known, zero)


def _slab(volume: Opened) -> int:
    """Sections read at once: those of a chunk, as far as they fit into `SLAB_BYTES` with their labels."""
    chunk, (_, y, x) = volume.volume.chunk, volume.volume.shape
    return max(1, min(chunk[0] if chunk else 1, SLAB_BYTES // (16 * y * x)))
