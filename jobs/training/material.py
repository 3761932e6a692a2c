"""What a training learns from, planned: records of a corpus or crops of a volume, by which of the two is given.

What differs between them is said here and nowhere else: what there is, what a net gets of it, what decides the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from jobs import flow, records
from jobs.spec import SpecError, nearest
from jobs.stages.asking import triple
from jobs.training import crops
from jobs.training.crops import Crops
from jobs.training.rows import survey
from jobs.training.source import Lesson, Source
from jobs.training.starting import Beginning, Shape
from jobs.volumes.opening import opened
from vision import names
from vision.augmentation import Augmentation
from vision.connectomics.blocks import Box, Zyx
from vision.connectomics.varying import Variation
from vision.corpora.volumes import check_same_place, parse_box
from vision.dimensions import dimensions
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    from jobs.train import Train

BLOCK: Zyx = (64, 256, 256)
"""Blocks of a volume that crops are drawn from."""


class Material(Protocol):
    """What is learned from.

    Attributes:
        lesson: what the room says of it.
        augmentation: how pictures are varied.
        usual: the preprocessing where none is asked for; None: the usual one.
    """

    @property
    def lesson(self) -> Lesson: ...

    @property
    def augmentation(self) -> Augmentation: ...

    @property
    def usual(self) -> Preprocessing | None: ...

    @property
    def shape(self) -> Shape | None:
        """Says what a net gets of one record, (C, ...); None: a picture as the preprocessing gives it."""
        ...

    def source(self, begun: Beginning) -> Source:
        """The records."""
        ...

    def watching(self) -> dict[str, Any]:
        """What is validated on, as fields of a course."""
        ...

    def identity(self) -> dict[str, Any]:
        """What of it decides the result, in words that a refusal can name."""
        ...

    def tags(self) -> Mapping[str, str]:
        """Facts to find the run by."""
        ...


def material(job: Train) -> Material:
    """What a job's fields name.

    Raises:
        SpecError: if they name nothing, or what they name does not fit.
    """
    if (job.corpus is None) == (job.volume is None):
        raise SpecError("train takes one of --corpus (records) and --volume with --truth (crops of a volume)")
    if job.volume is not None:
        return Voxels(job)
    for name in _OF_VOLUMES:
        if getattr(job, name) != type(job).model_fields[name].default:
            raise SpecError(f"{name}: it says something of a --volume, and there is none")
    return Records(job)


class Records:
    """Records of a corpus."""

    usual = shape = None

    def __init__(self, job: Train) -> None:
        self._job, self._reading = job, flow.read(job)
        self.lesson = self._objective = job.objective(self._reading.corpus)
        try:
            self.augmentation = Augmentation.parse(job.augment)
        except ValueError as error:
            raise SpecError(str(error)) from None

    def source(self, begun: Beginning) -> Source:
        return survey(self._reading, self._objective)

    def watching(self) -> dict[str, Any]:
        """The validation split with the states that score it, and the metric that chooses the best weights."""
        job, room = self._job, names.room(self._job.task)
        if job.val_split is None:
            _nothing_to_choose_by(job)
            return {}
        # A condition, a sample or a limit choose what is learned from; what is scored is the whole split.
        whole = type(job)(**{"corpus": job.corpus, "output": job.output, "split": job.val_split})
        suite = room.suite(self._reading.corpus)
        known = list(suite.compute())
        name = job.best_by or known[0]
        if name not in known:
            raise SpecError(f"best_by: no metric {name!r}{nearest(name, known)} (there are: {', '.join(known)})")
        watched = survey(flow.read(whole), self._objective, learned=False)
        return {"watched": watched, "suite": suite, "best_by": (name, room.higher_is_better(name))}

    def identity(self) -> dict[str, Any]:
        reading = self._reading
        return {"corpus_digest": reading.corpus.digest, "split": reading.split, **records.key(reading.subset)}

    def tags(self) -> Mapping[str, str]:
        reading = self._reading
        return {
            "corpus": reading.url,
            "corpus_version": str(reading.corpus.version),
            "corpus_digest": reading.corpus.digest,
            "split": reading.split,
        }


def _nothing_to_choose_by(job: Train) -> None:
    if job.best_by:
        raise SpecError("best_by: there is nothing to choose by without --val-split")


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

    def source(self, begun: Beginning) -> Source:
        grey, (known, zero) = crops.survey(self._volume, self._truth, self._box, self._objective)
        taught = "boundaries" if self._job.targets == "boundaries" else "neurons"
        if not known or (zero == known and taught == "neurons"):
            raise SpecError(f"truth: {self._truth.address} has no labels of {taught} there to learn from")
        if not grey.sums.any():
            raise SpecError(f"volume: {self._volume.address} shows nothing there: all voxels are 0")
        return Crops(
            self._volume.address, self._truth.address, self._box, BLOCK, self._job.crops, self._objective,
            self._variation, grey, self._planar(begun),
        )  # fmt: skip

    def watching(self) -> dict[str, Any]:
        _nothing_to_choose_by(self._job)
        return {}

    def identity(self) -> dict[str, Any]:
        facts = dict(self._objective.decoding)
        return {"volume": self._volume.facts(), "truth": self._truth.facts(), **facts}

    def tags(self) -> Mapping[str, str]:
        return {"volume": str(self._volume.address), "truth": str(self._truth.address)}


_OF_VOLUMES = ("truth", "roi", "scale", "crop", "crops")
_OF_RECORDS = ("split", "where", "limit", "sample", "stratify", "join", "val_split", "preprocess")


def _refuse(job: Train) -> None:
    """Fields that say something of records only."""
    for name in _OF_RECORDS:
        if getattr(job, name) is not None:
            raise SpecError(f"{name}: there is no use for it with --volume; choose voxels by --roi")
