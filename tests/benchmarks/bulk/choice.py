"""The kernel that `predict` would choose for a model, so that limits and peers are given the very same one."""

from __future__ import annotations

from jobs import compiling
from vision.model import Model, load
from vision.predictor import Asked


def chosen(folder: str, precision: str) -> tuple[Model, Asked]:
    """A model and what predict asks of its predictor with `--precision`."""
    model = load(folder)
    return model, compiling.choose(model, Asked(), "auto", precision, None, lambda _line: None)
