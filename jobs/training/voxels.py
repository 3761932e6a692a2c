"""Crops of a volume as what a training learns from: see `material`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jobs.spec import SpecError
from jobs.stages.asking import triple
from jobs.training import crops, held_out
from jobs.training.best import chosen_by, nothing_to_choose_by
from jobs.training.crops import Crops
from jobs.training.held_out import HeldOut
from jobs.training.source import Source
from jobs.training.starting import Beginning, Shape
from jobs.volumes.opening import opened
from vision.augmentation import Augmentation
from vision.connectomics import judging
from vision.connectomics.blocks import Box, Zyx
from vision.connectomics.grey import Grey
from vision.connectomics.inference import Meaning
from vision.connectomics.tiles import Tiling, usual
from vision.connectomics.varying import Variation
from vision.corpora.volumes import check_same_place, parse_box
from vision.dimensions import dimensions, lost_by
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    from jobs.train import Train

BLOCK: Zyx = (64, 256, 256)
"""Blocks of a volume that crops are drawn from, and that are answered at once while validating."""

_OF_RECORDS = ("split", "where", "limit", "sample", "stratify", "join", "val_split", "preprocess")


class Voxels:
    """Crops of a volume."""

    augmentation = Augmentation()

    def __init__(self, job: Train) -> None:
        self._job = job
        _refuse(job)
        self._volume, self._truth = (opened(job.volume or "", "volume", job.scale), self._labels(job))
        self.crop = triple(job.crop, "crop")
        try:
            check_same_place(self._volume.volume, self._truth.volume, (self._volume.address, self._truth.address))
            self._variation = Variation.parse(job.augment, self.crop)
            begin, end = parse_box(job.roi or ":,:,:", self._volume.volume.shape)
        except ValueError as error:
            raise SpecError(str(error)) from None
        self._box = Box(begin, end)
        if any(c < 1 or c > n for c, n in zip(self.crop, self._box.shape, strict=True)):
            raise SpecError(f"crop: {self.crop} voxels do not fit into the {self._box.shape} that are learned from")
        self.lesson = self._objective = job.learned("volume", self._volume.volume, crop=self.crop)

    @staticmethod
    def _labels(job: Train) -> Any:
        if job.truth is None:
            raise SpecError("truth: a volume is learned from labels of its voxels; give --truth")
        return opened(job.truth, "truth", job.scale, labels=True)

    @property
    def usual(self) -> Preprocessing:
        """Grey levels as they are; how they are normalised is told by the model's `decoding`."""
        return Preprocessing(resize=self.crop[1:], crop=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    @property
    def shape(self) -> Shape:
        return lambda begun: self.crop if self._planar(begun) else (1, *self.crop)

    def _planar(self, begun: Beginning) -> bool:
        planar = dimensions(begun.net) == 2
        if planar and self.crop[0] != 1:
            raise SpecError(f"crop: {begun.model.net} takes pictures, so crops are of one section: 1,Y,X")
        return planar

    @cached_property
    def _surveyed(self) -> tuple[Grey, tuple[int, int]]:
        return crops.survey(self._volume, self._truth, self._box, self._objective)

    def source(self, begun: Beginning) -> Source:
        grey, (known, zero) = self._surveyed
        taught = "boundaries" if self._job.targets == "boundaries" else "neurons"
        if not known or (zero == known and taught == "neurons"):
            raise SpecError(f"truth: {self._truth.address} has no labels of {taught} there to learn from")
        if not grey.sums.any():
            raise SpecError(f"volume: {self._volume.address} shows nothing there: all voxels are 0")
        return Crops(
            self._volume.address, self._truth.address, self._box, BLOCK, self._job.crops, self._objective,
            self._variation, grey, self._planar(begun),
        )  # fmt: skip

    def watching(self, begun: Beginning) -> dict[str, Any]:
        """The box that is kept from training, and what chooses the best weights by it."""
        if self._job.val_roi is None:
            nothing_to_choose_by(self._job, "val-roi")
            return {}
        held = self._held_out(begun)
        name = chosen_by(self._job, held.metrics)
        return {"watched": held, "best_by": (name, judging.higher_is_better(name))}

    def _held_out(self, begun: Beginning) -> HeldOut:
        shape, objective = self._volume.volume.shape, self._objective
        try:
            box = Box(*parse_box(self._job.val_roi or "", shape))
            held_out.check(Meaning.of(begun.model), box)
            margin, overlap = usual(self.crop, self._margin(begun))
            tiling = Tiling(shape, self.crop, margin, overlap)
        except ValueError as error:
            raise SpecError(f"val_roi: {error}") from None
        if box.meet(self._box).voxels:
            raise SpecError(f"val_roi: {self._job.val_roi} has voxels that are learned from; choose others by --roi")
        _, (known, zero) = crops.survey(self._volume, self._truth, box, objective)
        # Patches see sections beyond the box, which are normalised too.
        seen = tiling.reads(box)
        sections = Box((seen.begin[0], *box.begin[1:]), (seen.end[0], *box.end[1:]))
        grey, _ = crops.survey(self._volume, self._truth, sections, objective)
        if known == zero or not grey.sums.any():
            raise SpecError(f"val_roi: nothing can be scored in {self._job.val_roi}: no labels or no grey levels there")
        return HeldOut(
            self._volume.address, self._truth.address, box, BLOCK, tiling, objective, self._surveyed[0].or_else(grey),
            self._planar(begun),
        )  # fmt: skip

    def _margin(self, begun: Beginning) -> Zyx:
        """The usual one, or what a net without padding loses where that is more."""
        sides = self.crop if self._planar(begun) else (1, *self.crop)
        lost = lost_by(begun.net, sides)
        z, y, x = (max(usual_, less) for usual_, less in zip(usual(self.crop)[0], (0, 0, 0, *lost)[-3:], strict=True))
        return z, y, x

    def identity(self) -> dict[str, Any]:
        facts = dict(self._objective.decoding)
        return {"volume": self._volume.facts(), "truth": self._truth.facts(), **facts}

    def tags(self) -> Mapping[str, str]:
        return {"volume": str(self._volume.address), "truth": str(self._truth.address)}


def _refuse(job: Train) -> None:
    """Fields that say something of records only."""
    for name in _OF_RECORDS:
        if getattr(job, name) is not None:
            raise SpecError(f"{name}: there is no use for it with --volume; choose voxels by --roi")
