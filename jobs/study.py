"""A grid of trials, one table and one plot: what changes when only one thing is changed.

The driver knows no kind of study: a kind (a file in `jobs.studying`) turns the fields into trials and a trial into
rows, and everything else is the same for all. Trials that are done are not done again, so that a grid may be stopped,
go on, and be extended by a seed or a depth. Specs for the studies of the lectures travel with the package:
`safelight run study plain_residual --corpus data/cifar10`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from jobs import storage
from jobs.recipe import Teaching
from jobs.spec import Context, JobFailed, Plain, Report, SpecError
from jobs.studying import running
from jobs.studying.kind import Trial, kind

_ANY = {"kind", "output", "workers", "gpus_per_worker", "retry_s", "max_failed", "x", "y"}
"""Fields that every kind of study has a use for."""


class Study(Teaching):
    """Run a grid of trials (trainings, gradients, lesions, probes) and write one table and one plot."""

    specs: ClassVar[str] = "studies"

    kind: Literal["train", "gradients", "lesions", "probe"] = Field("train", description="what a trial is")
    output: str = Field(description="folder or URL: study.csv, study.png and trials/; what is done there stays done")
    nets: tuple[str, ...] = Field((), description="nets, drawn anew; {depth} in a name stands for each of --depths")
    models: tuple[str, ...] = Field((), description="models to go on from (train, gradients) or to damage (lesions)")
    depths: tuple[int, ...] = Field(
        (), description="what {depth} in the nets' names stands for, or their argument `depth`"
    )
    seeds: tuple[int, ...] = Field(
        (0,), min_length=1, description="each cell once for each; numbers are averaged over them"
    )
    fractions: tuple[float, ...] = Field((), description="train: parts of the corpus, such as 0.1,1; seeds draw them")
    freeze: tuple[str, ...] = Field((), description="train: none, all-but-head, layers: what is not trained")
    dropout: tuple[float, ...] = Field((), description="train: values of the nets' argument `dropout`")
    augments: tuple[str, ...] = Field((), description="train: variations, each joined by +: none,flip,crop:4+flip")
    activations: tuple[str, ...] = Field((), description="gradients: as-built, relu, sigmoid, tanh, identity")
    lesions: tuple[str, ...] = Field(("delete",), min_length=1, description="lesions: delete, shuffle")
    blocks: tuple[int, ...] = Field(
        (0, 1, 2, 3, 5), min_length=1, description="lesions: how many blocks are deleted or swapped"
    )
    train_predictions: tuple[str, ...] = Field((), description="probe: embeddings to learn from, a table a layer")
    test_predictions: tuple[str, ...] = Field((), description="probe: embeddings to be scored on, in the same order")
    probes: tuple[str, ...] = Field(("linear",), min_length=1, description="probe: linear, linear:L2, knn, knn:K")
    shots: tuple[int, ...] = Field((), description="probe: few-shot curve, examples a class, such as 1,2,5,6,10")
    draws: int = Field(20, ge=1, description="probe: few-shot draws for each number of shots")
    x: str | None = Field(None, description="column along the foot of the plot; default: what varies")
    y: str | None = Field(None, description="column that is drawn; default: the first number of the kind")
    workers: int | None = Field(
        None, ge=0, description="trials at once, as Ray tasks; 0: here; default: 0 without RAY_ADDRESS, else its cores"
    )
    trial_workers: int = Field(0, ge=0, description="workers of each training; 0: the trial's own process")
    max_failed: float = Field(0.0, ge=0, le=1, description="share of trials that may fail before the study does")

    def run(self, context: Context | None = None) -> Report:
        """Carry out what is missing, then gather.

        Raises:
            SpecError: if a field has no use here or makes no trial, or the output holds something else.
            JobFailed: if more trials fail than may; what is done stays.
        """
        from jobs.studying import reporting

        context, output = context or Plain(), storage.absolute(self.output)
        trials = self._trials(context)
        with storage.claim(output):
            _check_folder(output)
            staff = (self._workers(), self.gpus_per_worker, self.retry_s)
            failed = running.carry_out(self.kind, trials, output, context, *staff)
            report = reporting.report(self, trials, output, failed)
        if len(failed) > self.max_failed * len(running.unique(trials)):
            details = [f"{trial}: {failed[trial.name]}" for trial in running.unique(trials) if trial.name in failed]
            where = f"; the others are in {output}" if report.tables else ""
            raise JobFailed(f"{len(failed)} of {len(running.unique(trials))} trials failed{where}", details)
        return report

    def estimate(self, context: Context) -> Mapping[str, str]:
        """How many trials, and how many of them are done."""
        trials = running.unique(self._trials(context))
        output = storage.absolute(self.output)
        done = sum(running.read(output, trial) is not None for trial in trials)
        workers = self._workers()
        return {"trials": f"{len(trials) - done} of {len(trials)}", "workers": str(workers or "this process")}

    def _trials(self, context: Context) -> list[Trial]:
        """The grid, after a look at the fields.

        Raises:
            SpecError: if a field is given that this kind of study has no use for, or an axis holds what makes no sense.
        """
        chosen = kind(self.kind)
        for name in sorted(self.model_fields_set - chosen.fields - _ANY):
            raise SpecError(f"{name}: a study of kind {self.kind} has no use for it")
        if any(not 0 < fraction <= 1 for fraction in self.fractions):
            raise SpecError(f"fractions: parts above 0 and up to 1, got {', '.join(map(str, self.fractions))}")
        if self.fractions and (self.where or self.limit):
            raise SpecError("fractions: are parts of a whole split or of --sample, not of --where or --limit")
        if min(self.blocks) < 0:
            raise SpecError(f"blocks: numbers from 0 up, got {', '.join(map(str, self.blocks))}")
        return chosen.plan(self, context)

    def _workers(self) -> int:
        """Trials at once: those asked for, or as many as the cluster at RAY_ADDRESS has cores."""
        if self.workers is not None or not os.environ.get("RAY_ADDRESS"):
            return self.workers or 0
        from jobs.engine.joining import start_ray

        return max(1, int(start_ray(1).cluster_resources().get("CPU", 1)))


def _check_folder(output: str) -> None:
    """Refuse to write among files of somebody else."""
    there = storage.files(output)
    if there and not any(name.startswith(f"{running.FOLDER}/") for name in there):
        raise SpecError(f"{output} is not empty and holds no study: choose another --output")
