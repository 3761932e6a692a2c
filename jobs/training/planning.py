"""A training planned: everything that can be wrong is found here, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.spec import Context, SpecError
from jobs.training import starting
from jobs.training.course import Course
from jobs.training.material import Material, material
from jobs.training.starting import Beginning
from vision import freezing, names
from vision.order import Order, steps
from vision.schedules import Schedule
from vision.training import Recipe
from vision.weights import fingerprint

if TYPE_CHECKING:
    from jobs.train import Train

_DECIDING = (
    "epochs", "batch_size", "micro_batch", "optimizer", "learning_rate", "schedule", "drops", "warmup", "augment",
    "label_smoothing", "weight_decay", "clip", "ema", "freeze", "seed", "buffer_rows", "val_split", "best_by",
    "validate_every",
)  # fmt: skip
"""Fields that decide the weights that come out; workers, their devices and what is kept do not."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be done.

    Attributes:
        begun: the net that it begins with.
        identity: what decides the result, in words that a refusal can name.
        trained: parameters that are trained, and all.
        found: facts of what is learned from.
    """

    course: Course
    begun: Beginning
    identity: Mapping[str, Any]
    trained: tuple[int, int]
    found: Mapping[str, str]

    def tags(self) -> dict[str, str]:
        """Facts to find the run by."""
        trained, parameters = self.trained
        return {
            **self.found,
            "net": self.course.model.net,
            "parameters": str(parameters),
            "parameters_trained": str(trained),
        }


def plan(job: Train, context: Context, output: str) -> Plan:
    """What a job's fields ask for.

    Raises:
        SpecError: if they do not fit each other, the corpus or the net.
        JobFailed: if the corpus is not whole.
    """
    if job.code:
        names.trust(job.code)
    known = material(job)
    begun = starting.begin(
        known.lesson, context, net=job.net, model=job.model, arguments=job.arguments, preprocess=job.preprocess,
        task=job.task, seed=job.seed, usual=known.usual, shape=known.shape,
    )  # fmt: skip
    try:
        known.augmentation.check(begun.model.preprocessing.size)
    except ValueError as error:
        raise SpecError(f"augment: {error}") from None
    rows = known.source(begun)
    recipe = _recipe(job, steps(rows.count, job.batch_size))
    try:
        freezing.freeze(begun.net, job.freeze)
        trained = freezing.counts(begun.net)
    except ValueError as error:
        raise SpecError(f"freeze: {error}") from None
    course = Course(
        output, begun.model, known.lesson, recipe, rows, Order(rows.sizes, job.seed, job.buffer_rows),
        known.augmentation, job.epochs, job.batch_size, job.micro_batch, job.freeze, **known.watching(begun),
        validate_every=job.validate_every, checkpoint_every=job.checkpoint_every, keep=job.keep,
        cache_mb=job.cache_mb, max_errors=job.max_errors, trace=job.trace, code=job.code,
    )  # fmt: skip
    return Plan(course, begun, _identity(job, known, begun, recipe), trained, known.tags())


def _recipe(job: Train, epoch_steps: int) -> Recipe:
    precision = job.precision if job.precision != "auto" else "bf16" if job.gpus_per_worker else "fp32"
    if job.ema >= 1:
        raise SpecError(f"ema: must be below 1, got {job.ema:g}")
    try:
        drops = tuple(float(drop) for drop in job.drops or ("0.5", "0.75"))
        total, warmup = job.epochs * epoch_steps, round(job.warmup * epoch_steps)
        schedule = Schedule(job.schedule, job.learning_rate, total, warmup, drops)
    except ValueError as error:
        raise SpecError(f"schedule: {error}") from None
    return Recipe(schedule, job.optimizer, job.weight_decay, job.clip, job.ema, precision, job.seed)


def _identity(job: Train, known: Material, begun: Beginning, recipe: Recipe) -> dict[str, Any]:
    facts = {name: getattr(job, name) for name in _DECIDING}
    facts = {name: list(value) if isinstance(value, tuple) else value for name, value in facts.items()}
    code = {"code_sha256": names.source_digest(job.code)} if job.code else {}
    return {
        **known.identity(),
        "net": begun.model.net,
        "arguments": dict(begun.model.arguments),
        "begins_with": fingerprint(begun.net.state_dict()),
        "preprocessing": begun.model.preprocessing.to_dict(),
        "task": begun.model.task,
        "precision": recipe.precision,
        **facts,
        **job.deciding(),
        **code,
    }
