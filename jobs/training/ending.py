"""What a training leaves: model folders of the best and the last weights, and a report of how it went."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from jobs import storage
from jobs.spec import JobFailed
from jobs.training import checkpoint
from jobs.training.course import Course
from jobs.training.curve import Curve
from vision import curves, intervals, names
from vision import model as models
from vision.accumulator import Estimate
from vision.model import Model

if TYPE_CHECKING:
    import torch


FILES = ("weights.safetensors", "model.json")
"""A model folder, in the order in which it is written: without the last one it is none."""


def keep_models(course: Course, facts: Mapping[str, Any]) -> tuple[Model, Model]:
    """Write the model folders `OUTPUT/last` and `OUTPUT`, which is the best one; returns (best, last)."""
    ended = checkpoint.load(course.output, course.steps)
    weights = ended.parts.get("average", ended.parts["weights"])
    last = write_model(course.model, weights, storage.join(course.output, "last"))
    if facts["best"] is not None and facts["best"]["step"] != course.steps:
        weights = checkpoint.load(course.output, int(facts["best"]["step"]), "best").parts["weights"]
    return write_model(course.model, weights, course.output), last


def write_model(model: Model, weights: Mapping[str, torch.Tensor], url: str) -> Model:
    """A model folder, local or not; one that is there already and the same stays."""
    net = names.net(model.net, dict(model.arguments))
    net.load_state_dict(weights)
    if not storage.is_s3(url) and not storage.exists(storage.join(url, "model.json")):
        return models.save(model, Path(url), net=net)
    with tempfile.TemporaryDirectory(prefix="safelight-model-") as folder:
        saved = models.save(model, Path(folder), net=net)
        if storage.is_s3(url):
            for name in FILES:
                storage.write(storage.join(url, name), Path(folder, name).read_bytes())
        elif models.load(url).digest != saved.digest:
            raise JobFailed(f"{url} holds another model: choose another folder (to train anew there: --no-resume)")
    return saved


def to_register(output: str) -> str:
    """The best model alone, without checkpoints beside it: what goes into a registry is a whole folder."""
    folder = storage.join(output, "registered")
    for name in FILES:
        storage.write(storage.join(folder, name), storage.read(storage.join(output, name)))
    return folder


@contextlib.contextmanager
def at_hand(url: str) -> Iterator[str]:
    """A model folder as a local one, while it is looked at."""
    if not storage.is_s3(url):
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="safelight-model-") as folder:
        for name in FILES:
            Path(folder, name).write_bytes(storage.read(storage.join(url, name)))
        yield folder


def tables(course: Course, facts: Mapping[str, Any]) -> dict[str, pa.Table]:
    """The curve with its learning rates, and the validations, a row each."""
    curve = Curve(course.columns(), course.steps, facts["curve"]).table()
    rate = course.recipe.schedule.rate
    curve = curve.append_column("epoch", pa.array([step // course.epoch_steps for step in curve["step"].to_pylist()]))
    curve = curve.append_column("learning_rate", pa.array([rate(step) for step in curve["step"].to_pylist()]))
    found = {"curve": curve}
    if facts["validation"]:
        found["validation"] = pa.Table.from_pylist(list(facts["validation"]))
    return found


def learned(course: Course, facts: Mapping[str, Any]) -> dict[str, Estimate]:
    """What the room counts while it learns, over the last epoch, with the interval of a share: `train_top1`.

    The pictures are augmented and the weights change meanwhile, so it is no score of the model.
    """
    curve = Curve(course.columns(), course.steps, facts["curve"])
    began, rows = course.steps - course.epoch_steps, course.rows.count
    inside = [point for point in curve.points if point[0] >= began]
    # The last batch of an epoch may be short: its pictures count as much as any others. Among so many steps that a
    # point is the mean of several, it makes no difference.
    sizes = [course.batch_rows(int(point[0]) % course.epoch_steps) if curve.every == 1 else 1 for point in inside]
    found = {}
    for place, name in enumerate(course.objective.measured, start=2):
        shares = [point[place] for point in inside]
        share = sum(size * one for size, one in zip(sizes, shares, strict=True)) / max(sum(sizes), 1)
        low, high = intervals.wilson(round(share * rows), rows)
        found[f"train_{name}"] = Estimate(share, low, high, rows)
    return found


def remarks(course: Course, curve: pa.Table, validated: Sequence[Mapping[str, Any]], best: Any) -> list[str]:
    """Sentences on the curve: which epoch was best, where it stood still and where it fell."""
    found = []
    if best is not None:
        epoch = best["step"] // course.epoch_steps
        found.append(
            f"best after epoch {epoch} of {course.epochs}: {best['metric']} {best['value']:.4f} while validating"
        )
    if validated and best is not None and best["step"] != course.steps:
        found.append(f"the last weights are in last/: {best['metric']} {validated[-1][best['metric']]:.4f}")
    cuts = course.recipe.schedule.drops_at()
    events = curves.events(curve["step"].to_pylist(), curve["loss"].to_pylist(), cuts)
    return [*found, *(str(event) for event in events)]
