"""What a training learns from, planned: records of a corpus or crops of a volume, by which of the two is given.

What differs between them is said here and in `voxels` and nowhere else: what there is, what a net gets of it, what
decides the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from jobs import flow, records
from jobs.spec import SpecError
from jobs.training.best import chosen_by, nothing_to_choose_by
from jobs.training.rows import survey
from jobs.training.source import Lesson, Source
from jobs.training.starting import Beginning, Shape
from jobs.training.voxels import Voxels
from vision import names
from vision.augmentation import Augmentation
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    from jobs.train import Train


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

    def watching(self, begun: Beginning) -> dict[str, Any]:
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

    def watching(self, begun: Beginning) -> dict[str, Any]:
        """The validation split with the states that score it, and the metric that chooses the best weights."""
        job, room = self._job, names.room(self._job.task)
        if job.val_split is None:
            nothing_to_choose_by(job, "val-split")
            return {}
        # A condition, a sample or a limit choose what is learned from; what is scored is the whole split.
        whole = type(job)(**{"corpus": job.corpus, "output": job.output, "split": job.val_split})
        suite = room.suite(self._reading.corpus)
        name = chosen_by(job, list(suite.compute()))
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


_OF_VOLUMES = ("truth", "roi", "val_roi", "scale", "crop", "crops")
