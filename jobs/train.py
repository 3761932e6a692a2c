"""A net trained on a corpus by any number of workers, resumable at any step, to a model folder.

The task's room says what is learned, what an output costs and how answers are scored; this job never asks which task
it is. The order of the pictures, their variation and the cut into micro-batches do not depend on the workers, so a
training that lost its driver or its workers goes on with others as if nothing had happened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from pydantic import Field

from jobs import storage
from jobs.cropping import FromVolume
from jobs.recipe import Teaching
from jobs.records import CORPUS
from jobs.spec import Context, Plain, Report, SpecError

if TYPE_CHECKING:
    from jobs.training.course import Course
    from jobs.training.planning import Plan
    from jobs.training.spread import Staff
    from vision.accumulator import Estimate

SMALL = 20_000
"""Pictures, each epoch counted, that one process trains on sooner than Ray Train starts."""


class Train(FromVolume, Teaching):
    """Train a net on one split of a corpus, or on crops of a volume."""

    corpus: str | None = Field(None, description=CORPUS)
    net: str | None = Field(None, description="nets.FILE:FUNCTION, torchvision.models:NAME or timm:NAME, drawn anew")
    model: str | None = Field(None, description="models:/NAME@ALIAS or a folder, in place of --net: go on from it")
    output: str = Field(description="folder or URL: the best model, last/ and checkpoints/")
    register_as: str | None = Field(None, alias="register", description="NAME[@ALIAS] in MLflow's registry")
    freeze: str = Field("none", description="none, all-but-head, or a layer: it and all before it stay as they are")
    workers: int | None = Field(
        None, ge=0, description="processes of one core each; 0: this process, without Ray; default: by the work"
    )
    min_workers: int | None = Field(None, ge=1, description="go on with so few when workers are lost for good")
    seed: int = Field(0, description="of weights, order, augmentation, dropout and --sample")
    resume: bool = Field(True, description="go on from the newest checkpoint in the output; --no-resume: begin anew")
    trace: bool = Field(False, description="write the ids of every micro-batch to trace/, to prove the order")

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
        elif self.val_roi is not None:
            metrics = {**_held_out(course), **metrics}
            notes.append(f"scored on {self.val_roi}, at the best of a few thresholds for it")
        tags = {**job.tags(), "model_digest": best.digest, "last_model_digest": last.digest}
        if self.register_as:
            tags["registered"] = context.register(ending.to_register(course.output), self.register_as)
        return Report(metrics, (), course.output, len(broken), tables, tags, (), tuple(notes))

    def _evaluated(self, context: Context, model: str) -> Report:
        """The best model scored on the validation split, by the job that scores all models."""
        from jobs.evaluate import Evaluate

        fields: dict[str, Any] = {"corpus": self.corpus, "split": self.val_split, "model": (model,), "workers": 0}
        return Evaluate(**fields, task=self.task, gpus_per_worker=self.gpus_per_worker, code=self.code).run(context)


def _held_out(course: Course) -> Mapping[str, Estimate]:
    """The best model scored on the box that was kept from training."""
    from jobs.training import ending
    from jobs.training.crew import Alone
    from jobs.training.held_out import HeldOut
    from vision.model import load

    with ending.at_hand(course.output) as folder:
        state = load(folder).build().state_dict()
    return cast(HeldOut, course.watched).validation(course, 0).estimates(state, Alone(lambda _note: None))
