"""What a worker must know to take part in a training: plain values that travel once, when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jobs.training.source import Lesson, Source, Watched
from vision import order
from vision.accumulator import Accumulator
from vision.augmentation import Augmentation
from vision.model import Model
from vision.order import Order
from vision.training import Recipe


@dataclass(frozen=True, eq=False)
class Course:
    """A training, whole.

    Attributes:
        output: where checkpoints go.
        freeze: as `vision.freezing.freeze` takes it.
        model: net, arguments and preprocessing; weights come from the newest checkpoint.
        rows: records, or crops of a volume.
        order: of them.
        watched: what to validate on, if there is anything.
        suite: the states that score watched rows; a box of a volume has none.
        best_by: the metric by which the best weights are chosen, and whether more of it is better.
        validate_every: epochs from one validation to the next.
        checkpoint_every: steps from one checkpoint to the next, besides the one at the end of each epoch.
        max_errors: share of broken pictures past which it fails.
        trace: whether to write down the ids of each micro-batch.
    """

    output: str
    model: Model
    objective: Lesson
    recipe: Recipe
    rows: Source
    order: Order
    augmentation: Augmentation
    epochs: int
    batch_size: int
    micro_batch: int
    freeze: str = "none"
    watched: Watched | None = None
    suite: Accumulator | None = None
    best_by: tuple[str, bool] = ("", True)
    validate_every: int = 1
    checkpoint_every: int = 1000
    keep: int = 2
    cache_mb: int = 1024
    max_errors: float = 0.01
    trace: bool = False
    code: str | None = None

    @cached_property
    def epoch_steps(self) -> int:
        return order.steps(self.rows.count, self.batch_size)

    @property
    def steps(self) -> int:
        return self.epochs * self.epoch_steps

    def batch_rows(self, number: int) -> int:
        """The rows of the global batch `number` of an epoch: the last one may be short."""
        return min(self.batch_size, self.rows.count - number * self.batch_size)

    def columns(self) -> tuple[str, ...]:
        """What each step says."""
        return ("loss", *self.objective.measured, "gradient_norm")

    def initial(self) -> dict[str, Any]:
        """The facts of a training that has not begun."""
        return {"curve": None, "best": None, "validation": []}
