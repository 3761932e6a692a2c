"""What training asks of whatever it learns from: how many records an epoch has, and micro-batches of them.

Records of a corpus (`rows`, `reading`) and crops of a volume (`crops`) fulfil it; the loop, its order, checkpoints and
workers are the same for both. A record is a number, and what a net sees of it is a function of (seed, epoch, number).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from vision.accumulator import Array
from vision.model import Model

if TYPE_CHECKING:
    import torch

    from jobs.training.course import Course
    from jobs.training.crew import Crew

Place = Callable[[Array], "torch.Tensor"]
"""Puts an array where the net is."""


class Lesson(Protocol):
    """What a room says of learning: see `vision.classification.learning` and `vision.connectomics.learning`."""

    @property
    def measured(self) -> tuple[str, ...]: ...

    @property
    def outputs(self) -> int: ...

    @property
    def names(self) -> tuple[str, ...] | None: ...

    @property
    def decoding(self) -> Mapping[str, Any]: ...

    def answers_as(self, model: Model) -> bool: ...

    def check_outputs(self, outputs: Any) -> None: ...

    def loss(self, outputs: Any, targets: Any) -> tuple[Any, Any]: ...


class Part(Protocol):
    """A micro-batch: (B, ...) targets, and the ids of its records."""

    @property
    def targets(self) -> Array: ...

    @property
    def ids(self) -> tuple[str, ...]: ...


class Feeder(Protocol):
    """Makes micro-batches, where a worker lives."""

    broken: dict[str, str]

    def fetch(self, wanted: Array) -> Mapping[int, Any]:
        """What must be read of records before they are used; may run in another thread than the rest."""
        ...

    def pictures(self, rows: Array, encoded: Mapping[int, Any], *parts: int) -> Part:
        """A micro-batch of records, varied by seed and epoch."""
        ...

    def inputs(self, part: Any, place: Place) -> torch.Tensor:
        """What the net takes of a micro-batch that `pictures` gave."""
        ...


class Source(Protocol):
    """Records, as plain values that travel to workers."""

    @property
    def sizes(self) -> Array:
        """(U,) int64: records of each unit that is read as one."""
        ...

    @property
    def count(self) -> int: ...

    def feeder(self, course: Course, decoders: int) -> Feeder:
        """What makes micro-batches of a course, with so many threads that decode."""
        ...


class Judging(Protocol):
    """Scores weights while a training goes on, where a worker lives."""

    def scored(self, state: Mapping[str, torch.Tensor], crew: Crew) -> dict[str, float]:
        """The metrics of weights, by name; the same for every worker."""
        ...


class Watched(Protocol):
    """What is validated on, as plain values that travel to workers: `rows`, or `held_out`."""

    def validation(self, course: Course, decoders: int) -> Judging:
        """What scores weights on it."""
        ...
