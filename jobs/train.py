"""A net trained on a corpus by any number of workers, resumable at any step, to a model folder.

The task's room says what is learned, what an output costs and how answers are scored; this job never asks which task
it is. The order of the pictures, their variation and the cut into micro-batches do not depend on the workers, so a
training that lost its driver or its workers goes on with others as if nothing had happened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
from pydantic import Field

from jobs import storage
from jobs.records import CORPUS, Reads
from jobs.spec import Context, Plain, Report, SpecError

if TYPE_CHECKING:
    from jobs.training.course import Course
    from jobs.training.planning import Plan
    from jobs.training.spread import Staff

SMALL = 20_000
"""Pictures, each epoch counted, that one process trains on sooner than Ray Train starts."""


class Train(Reads):
    """Train a net on one split of a corpus."""

    corpus: str = Field(description=CORPUS)
    net: str | None = Field(None, description="nets.FILE:FUNCTION, torchvision.models:NAME or timm:NAME, drawn anew")
    model: str | None = Field(None, description="models:/NAME@ALIAS or a folder, in place of --net: go on from it")
    arguments: str = Field("{}", description="JSON of the arguments that the net is built with")
    preprocess: str | None = Field(None, description="preprocessing by name (cifar10, imagenet) or a JSON file")
    task: str = Field("classification", description="the room that says what is learned")
    output: str = Field(description="folder or URL: the best model, last/ and checkpoints/")
    register_as: str | None = Field(None, alias="register", description="NAME[@ALIAS] in MLflow's registry")
    val_split: str | None = Field(None, description="split to validate on, to choose the best weights and to report")
    best_by: str | None = Field(None, description="metric that chooses the best weights; default: the room's first")
    validate_every: int = Field(1, ge=1, description="epochs from one validation to the next")
    epochs: int = Field(10, ge=1, description="times that every record is seen")
    batch_size: int = Field(128, ge=1, description="records of a global batch, over all workers")
    micro_batch: int = Field(64, ge=1, description="records normalised together; never depends on the workers")
    optimizer: Literal["sgd", "nesterov", "adam", "adamw"] = Field("nesterov", description="how weights are changed")
    learning_rate: float = Field(0.1, ge=0, description="at its highest")
    schedule: Literal["cosine", "step", "constant"] = Field("cosine", description="how the learning rate falls")
    drops: tuple[str, ...] = Field(
        (), description="step: shares of the training after which the rate is tenthed; 0.5,0.75"
    )
    warmup: float = Field(0.0, ge=0, description="epochs in which the learning rate rises")
    augment: tuple[str, ...] = Field((), description="crop:4, flip, resized-crop:0.08, colour:0.4, in this order")
    label_smoothing: float = Field(0.0, ge=0, le=1, description="share of the target spread over all classes")
    weight_decay: float = Field(5e-4, ge=0, description="of weights; norms and biases have none")
    clip: float = Field(0.0, ge=0, description="greatest norm of the gradient; 0: any")
    ema: float = Field(0.0, ge=0, le=1, description="decay of an average of the weights, which is then kept; 0: none")
    freeze: str = Field("none", description="none, all-but-head, or a layer: it and all before it stay as they are")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto: bf16 on a GPU, fp32 on a CPU")
    workers: int | None = Field(
        None, ge=0, description="processes of one core each; 0: this process, without Ray; default: by the work"
    )
    min_workers: int | None = Field(None, ge=1, description="go on with so few when workers are lost for good")
    gpus_per_worker: float = Field(0.0, ge=0, description="GPUs that each worker takes; 0: CPU")
    max_failures: int = Field(3, ge=0, description="times that workers may die before the job fails, to go on later")
    retry_s: float = Field(30.0, ge=0, description="seconds that Ray's head may be away")
    seed: int = Field(0, description="of weights, order, augmentation, dropout and --sample")
    resume: bool = Field(True, description="go on from the newest checkpoint in the output; --no-resume: begin anew")
    checkpoint_every: int = Field(1000, ge=1, description="steps between checkpoints, besides each epoch's end")
    keep: int = Field(2, ge=1, description="newest checkpoints to keep")
    buffer_rows: int = Field(16384, ge=1, description="records shuffled together; all of a smaller corpus")
    cache_mb: int = Field(1024, ge=0, description="MiB of decoded pictures that each worker keeps")
    max_errors: float = Field(0.01, ge=0, le=1, description="share of broken images past which the job fails")
    trace: bool = Field(False, description="write the ids of every micro-batch to trace/, to prove the order")
    code: str | None = Field(None, description="folder of Python modules that names may point into")

    def run(self, context: Context | None = None) -> Report:
        """Train.

        Raises:
            SpecError: if a field does not fit, or the output holds something else.
            JobFailed: if the training cannot go on; the newest checkpoint stays.
        """
        from jobs.training import checkpoint, claim, spread
        from jobs.training.checkpoint import Checkpoint
        from jobs.training.desk import Desk
        from jobs.training.planning import plan

        context, output = context or Plain(), storage.absolute(self.output)
        if self.register_as and storage.is_s3(output):
            raise SpecError("register: a model on S3 cannot be registered; train to a local --output")
        job = plan(self, context, output)
        with storage.claim(output):
            if claim.take(output, job.identity, self.resume):
                context.log(f"going on from step {checkpoint.found(output)[-1]:,} of {job.course.steps:,}")
            else:
                state = job.begun.net.state_dict()
                checkpoint.write(output, Checkpoint(0, {"weights": state}, job.course.initial()))
            context.log(f"{job.begun.origin}; {job.trained[0]:,} of {job.trained[1]:,} parameters are trained")
            desk = Desk(job.course, context)
            try:
                spread.carry_out(job.course, self._staff(job.course), desk.take)
            finally:
                if desk.failure is not None:
                    raise desk.failure
            return self._report(context, job, desk.broken)

    def estimate(self, context: Context) -> Mapping[str, str]:
        """Records, steps and parameters; nothing is written."""
        from jobs.training.planning import plan

        job = plan(self, context, storage.absolute(self.output))
        return {
            "images": f"{job.course.rows.count:,} in {self.epochs} epochs",
            "steps": f"{job.course.steps:,} of {self.batch_size}",
            "parameters": f"{job.trained[0]:,} of {job.trained[1]:,} trained",
            "workers": str(self._staff(job.course).workers),
        }

    def _staff(self, course: Course) -> Staff:
        from jobs.training.spread import Staff
        from vision.order import steps

        workers = self.workers
        if workers is None:
            # More workers than micro-batches would have nothing to do.
            most = min(os.cpu_count() or 1, steps(self.batch_size, self.micro_batch))
            small = course.rows.count * self.epochs <= SMALL or most < 2
            workers = 0 if small and not self.gpus_per_worker else most
        return Staff(workers, self.min_workers, self.gpus_per_worker, self.max_failures, self.retry_s)

    def _report(self, context: Context, job: Plan, broken: Mapping[str, str]) -> Report:
        from jobs.training import checkpoint, ending

        course = job.course
        ended = checkpoint.load(course.output, course.steps)
        best, last = ending.keep_models(course, ended.facts)
        tables = ending.tables(course, ended.facts)
        if broken:
            tables["errors"] = pa.table({"id": sorted(broken), "error": [broken[id_] for id_ in sorted(broken)]})
        notes = ending.remarks(course, tables["curve"], ended.facts["validation"], ended.facts["best"])
        metrics = ending.learned(course, ended.facts)
        if self.val_split is not None:
            with ending.at_hand(course.output) as folder:
                scored = self._evaluated(context, folder)
            metrics = {**scored.metrics, **metrics}
            notes.append(f"scored as `evaluate` does, on {self.val_split}: answers in {scored.output}")
            tables |= {f"validation_{name}": table for name, table in scored.tables.items()}
        tags = {**job.tags(), "model_digest": best.digest, "last_model_digest": last.digest}
        if self.register_as:
            tags["registered"] = context.register(ending.to_register(course.output), self.register_as)
        return Report(metrics, (), course.output, len(broken), tables, tags, (), tuple(notes))

    def _evaluated(self, context: Context, model: str) -> Report:
        """The best model scored on the validation split, by the job that scores all models."""
        from jobs.evaluate import Evaluate

        fields: dict[str, Any] = {"corpus": self.corpus, "split": self.val_split, "model": (model,), "workers": 0}
        return Evaluate(**fields, task=self.task, gpus_per_worker=self.gpus_per_worker, code=self.code).run(context)
