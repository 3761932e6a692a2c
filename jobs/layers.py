"""A model's architecture among the facts about it: what each layer gives, holds, costs and sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.arguments import parse
from jobs.spec import SpecError
from vision import architecture, names
from vision.architecture import Architecture
from vision.model import Model


def facts(model: Model, inputs: str | None) -> dict[str, Any]:
    """Totals, and the report under `architecture`; a line that says why there is none, where the net cannot run.

    Args:
        inputs: shapes without the batch, "3x224x224", with commas between those of a net that takes several.

    Raises:
        SpecError: if the net cannot take the shapes that were asked for, or there is no such net.
    """
    try:
        found = _report(model, _shapes(model, inputs))
    except architecture.DoesNotRun as error:
        if inputs is not None:
            raise SpecError(f"input: {error}") from None
        count = architecture.count_parameters(lambda: names.net(model.net, dict(model.arguments)))
        return {"parameters": f"{count:,}", "architecture": f"{error}; say which it takes, for example --input 1x28x28"}
    totals = {
        "input": ", ".join("x".join(map(str, shape)) for shape in found.inputs),
        "output": ", ".join("x".join(map(str, shape)) for shape in found.outputs),
        "parameters": f"{found.parameters:,}",
        "multiply-adds": f"{found.macs:,}",
    }
    return totals | {"architecture": found}


def with_arguments(model: Model, arguments: str) -> Model:
    """A net named by its dotted name, built with other arguments.

    Raises:
        SpecError: if the model comes from a folder, or they are no JSON object.
    """
    if model.folder is not None:
        raise SpecError("arguments: a model folder has its own")
    return replace(model, arguments=parse(arguments))


def _report(model: Model, shapes: list[tuple[int, ...]]) -> Architecture:
    return architecture.report(lambda: names.net(model.net, dict(model.arguments)), shapes)


def _shapes(model: Model, inputs: str | None) -> list[tuple[int, ...]]:
    if inputs is None:
        return [(3, *model.preprocessing.size)]
    try:
        shapes = [tuple(int(side) for side in shape.split("x")) for shape in inputs.split(",")]
    except ValueError:
        shapes = []
    if not shapes or min(min(shape) for shape in shapes) < 1:
        raise SpecError(f"input: {inputs!r} is not of the form 3x224x224")
    return shapes
