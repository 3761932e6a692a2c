"""The net that a training begins with: drawn from a seed, or a model's, with a head for the corpus' classes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.arguments import parse
from jobs.spec import Context, SpecError
from jobs.training.source import Lesson
from vision import freezing, names, weights
from vision.model import ONNX, Model
from vision.preprocessing import Preprocessing

if TYPE_CHECKING:
    import torch

_CLASSES = ("classes", "num_classes")
"""What the argument is called that says how many outputs a net has."""


@dataclass(frozen=True, eq=False)
class Beginning:
    """A model without weights of its own yet, the net that it begins with, and a sentence on where that came from."""

    model: Model
    net: torch.nn.Module
    origin: str


Shape = Callable[[Beginning], tuple[int, ...]]


def begin(
    objective: Lesson, context: Context, *, net: str | None, model: str | None, arguments: str,
    preprocess: str | None, task: str, seed: int, usual: Preprocessing | None = None, shape: Shape | None = None,
) -> Beginning:  # fmt: skip
    """The net to train.

    Args:
        usual: the preprocessing where none is asked for; without it ImageNet's.
        shape: says what a net takes of one record, (C, ...); without it a picture as the preprocessing gives it.

    Raises:
        SpecError: if there is none, or it does not fit the corpus.
    """
    if (net is None) == (model is None):
        raise SpecError("train takes one of --net (begin with drawn weights) and --model (go on from its weights)")
    given = parse(arguments)
    look = usual if preprocess is None else _preprocessing(preprocess)
    if net is not None:
        drawn = Model(
            net, look or Preprocessing.named("imagenet"), "", _sized(net, given, objective.outputs), objective.names,
            task, decoding=objective.decoding,
        )  # fmt: skip
        begun = Beginning(drawn, _draw(drawn, seed), f"{net} with weights drawn from seed {seed}")
    else:
        begun = _from_model(context.model(model or ""), objective, task, given, look, seed)
    _check(begun, objective, shape or _picture)
    return begun


def _preprocessing(given: str) -> Preprocessing:
    """A preset by name, or one from a JSON file."""
    try:
        if given.endswith(".json"):
            return Preprocessing.from_dict(json.loads(Path(given).read_text()))
        return Preprocessing.named(given)
    except OSError as error:
        raise SpecError(f"preprocess: {given} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SpecError(f"preprocess: {error}") from None


def _sized(net: str, arguments: Mapping[str, Any], outputs: int) -> dict[str, Any]:
    """The arguments, with the number of outputs under the name that the net has for it, unless it is given."""
    found = dict(arguments)
    if any(name in found for name in _CLASSES):
        return found
    if net.startswith("timm:"):
        return {**found, "num_classes": outputs}
    parameters = inspect.signature(names.find(net)).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    name = next((n for n in _CLASSES if n in parameters), "num_classes" if takes_any else None)
    return {**found, name: outputs} if name else found


def _draw(model: Model, seed: int) -> torch.nn.Module:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: torch.nn.Module = names.net(model.net, dict(model.arguments))
    return net


def _from_model(
    old: Model, objective: Lesson, task: str, given: dict[str, Any], look: Preprocessing | None, seed: int
) -> Beginning:
    """A model's net and weights; its head is drawn anew unless it was made for these classes."""
    if old.net == ONNX:
        raise SpecError("model: an ONNX graph cannot be trained; take the net that it was made from")
    kept = {name: value for name, value in old.arguments.items() if name not in _CLASSES}
    new = replace(
        old, preprocessing=look or old.preprocessing, weights="", classes=objective.names, folder=None,
        arguments=_sized(old.net, {**kept, **given}, objective.outputs), task=task, decoding=objective.decoding,
    )  # fmt: skip
    net, state = _draw(new, seed), old.build().state_dict()
    head, same = freezing.head(net), objective.answers_as(old)
    if not same:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(head + ".")}
        state |= {name: tensor for name, tensor in net.state_dict().items() if name.startswith(head + ".")}
    try:
        weights.fit(net, state)
    except ValueError as error:
        raise SpecError(f"model: {error}") from None
    told = "all of its weights" if same else f"its weights, but for a new {head}"
    return Beginning(new, net, f"model {old.digest[:12]} with {told}")


def _picture(begun: Beginning) -> tuple[int, ...]:
    return 3, *begun.model.preprocessing.size


def _check(begun: Beginning, objective: Lesson, shape: Shape) -> None:
    """Put two pictures through: the proof that net, preprocessing and classes fit."""
    import torch

    sides = shape(begun)
    try:
        with torch.inference_mode():
            outputs = begun.net.eval()(torch.zeros(2, *sides))
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        size = "x".join(map(str, sides[1:]))
        what = f"pictures of {size} that preprocess gives" if shape is _picture else f"crops of {size}"
        raise SpecError(f"net: it cannot take the {what}: {reason}") from None
    try:
        objective.check_outputs(outputs)
    except ValueError as error:
        raise SpecError(f"net: {error}") from None
