"""Trainings: nets, depths, parts of the corpus, frozen layers, dropout and augmentation against each other.

Each cell of the grid is a value of `train`, in a folder of its own, where it goes on if it was stopped. `train_error`
is the share of wrong answers over the last epoch, while the weights change; `error` is that of the best weights on the
validation split. Where the learning rate was cut and the loss fell, or where it stood still, `events` says so.

References: He et al., "Deep residual learning", CVPR 2016 (plain against residual); Krizhevsky et al., 2012 (dropout,
augmentation); Yosinski et al., "How transferable are features in deep neural networks?", NIPS 2014 (what is frozen).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jobs.recipe import Teaching
from jobs.records import Reads, open_corpus
from jobs.spec import Context, Report, SpecError
from jobs.studying import grid
from jobs.studying.grid import NONE
from jobs.studying.kind import SEED, Kind, Outcome, Row, Sheet, Trial, plain
from jobs.train import Train
from vision import curves
from vision.accumulator import Estimate

if TYPE_CHECKING:
    from jobs.study import Study

POINTS = 100
"""Points of a training's curve that a study keeps."""

_SIDE = {"output", "model", "preprocess", "code", "workers", "min_workers", "max_failures", "retry_s", "resume",
         "trace", "keep", "checkpoint_every", "cache_mb", "register", "max_errors", *Reads.model_fields}  # fmt: skip
"""Fields of a training that do not decide its outcome, or do it through a digest."""

_AMOUNTS = ("loss", "learning_rate", "gradient_norm")
_AXES = ("depth", "fraction", "dropout", "freeze", "augment", "net")


def plan(study: Study, context: Context) -> list[Trial]:
    """A trial for each cell; each net is built once before hours are spent on others.

    Raises:
        SpecError: if a cell makes no training.
    """
    if study.corpus is None:
        raise SpecError("corpus: a study of trainings needs one")
    if study.augments and study.augment:
        raise SpecError("augments: in place of --augment, not with it")
    _, corpus = open_corpus(study.corpus)
    split, checked = corpus.pick_split(study.split), set[str]()
    rows = sum(shard.rows for shard in corpus.present(split))
    found = []
    for cell in grid.cells(_axes(study)):
        job = _job(study, cell, rows, context)
        trial = Trial(cell, job.model_dump(mode="json", exclude_defaults=True, by_alias=True), _identity(job, context))
        shape = str({axis: value for axis, value in cell.items() if axis != SEED})
        if shape not in checked:
            _check(job, context)
            checked.add(shape)
        found.append(trial)
    return found


def _axes(study: Study) -> dict[str, Any]:
    return {
        "net": grid.nets(study), "depth": study.depths, "freeze": study.freeze, "dropout": study.dropout,
        "augment": study.augments, "fraction": study.fractions, SEED: study.seeds,
    }  # fmt: skip


def _job(study: Study, cell: Mapping[str, Any], rows: int, context: Context) -> Train:
    """The training of a cell."""
    given = {name: getattr(study, name) for name in Teaching.model_fields if name in study.model_fields_set}
    given |= {**grid.reads(study), **grid.origin(study, cell, context), "output": "-", "workers": study.trial_workers}
    given |= {name: grid.local(given[name]) for name in ("preprocess", "code") if name in given}
    given |= {"seed": cell[SEED], "freeze": cell.get("freeze", NONE)}
    if "augment" in cell:
        given["augment"] = tuple(word for word in cell["augment"].split("+") if word != NONE)
    given["arguments"] = grid.arguments(study, cell)
    if cell.get("fraction", 1) < 1:
        given |= {"sample": max(1, round(cell["fraction"] * (study.sample or rows)))}
    elif study.fractions and not study.sample:
        given.pop("stratify", None)  # the whole is in proportion
    found: Train = Train.parse(given)
    return found


def _identity(job: Train, context: Context) -> dict[str, Any]:
    values = {name: value for name, value in job.model_dump(mode="json", by_alias=True).items() if name not in _SIDE}
    model = {} if job.model is None else {"model": context.model(job.model).digest}
    return {"kind": "train", "seed": job.seed, **grid.deciding(job), **model, **values}


def _check(job: Train, context: Context) -> None:
    """Plan a training that will not be done here.

    Raises:
        SpecError: if it cannot be done at all.
    """
    from jobs.training.planning import plan as plan_training

    plan_training(job, context, job.output)


def carry_out(trial: Trial, folder: str, context: Context) -> Outcome:
    """Train, or go on with it."""
    return _rows(Train(**{**trial.work, "output": folder}).run(context))


def _rows(report: Report) -> Outcome:
    curve = report.tables["curve"]
    learned = next((one for name, one in report.metrics.items() if name.startswith("train_")), None)
    values = {} if learned is None else {"train_error": wrong(learned)}
    if "top1" in report.metrics:
        values["error"] = wrong(report.metrics["top1"])
    last = np.asarray(curve["epoch"]) == curve["epoch"][-1].as_py()
    losses = np.asarray(curve["loss"], np.float64)
    values |= plain({"train_loss": float(losses[last].mean())})
    facts = {"parameters": int(report.tags["parameters"]), "trained": int(report.tags["parameters_trained"])}
    return {"study": [Row(values, facts={**facts, "events": _events(curve)})], "curves": _points(curve)}


def wrong(right: Estimate) -> Estimate:
    """The share of wrong answers, from that of right ones."""
    return Estimate(1 - right.value, 1 - right.high, 1 - right.low, right.n)


def _events(curve: pa.Table) -> str:
    """Where the loss stood still and where it fell at once."""
    steps, rates = curve["step"].to_pylist(), np.asarray(curve["learning_rate"], np.float64)
    cuts = [steps[n] for n in range(1, len(steps)) if rates[n] < 0.5 * rates[n - 1]]
    return "; ".join(map(str, curves.events(steps, curve["loss"].to_pylist(), cuts)))


def _points(curve: pa.Table) -> list[Row]:
    """The curve in at most `POINTS` means."""
    known = [name for name in curve.column_names if name not in ("step", "epoch")]
    columns = {name: np.array_split(np.asarray(curve[name], np.float64), min(POINTS, len(curve))) for name in known}
    steps = [int(part[-1]) + 1 for part in np.array_split(np.asarray(curve["step"]), min(POINTS, len(curve)))]
    points = [{name: float(parts[n].mean()) for name, parts in columns.items()} for n in range(len(steps))]
    return [
        Row(plain({name: value for name, value in point.items() if math.isfinite(value)}), at={"step": step})
        for step, point in zip(steps, points, strict=True)
    ]


KIND = Kind(
    fields=frozenset(Teaching.model_fields) - {"seed"}
    | {"nets", "models", "depths", "freeze", "dropout", "augments", "fractions", "seeds", "trial_workers"},
    sheets=(
        Sheet("study", ("train_error", "error", "train_loss"), _AXES, ("train_error", "error"), ("train_loss",)),
        Sheet("curves", (*_AMOUNTS, "top1"), ("step",), shares=("top1",), amounts=_AMOUNTS),
    ),
    plan=plan,
    carry_out=carry_out,
)
