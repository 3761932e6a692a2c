"""The architecture report: for each layer its output shape, parameters, multiply-adds, receptive field and jump.

Nothing is computed but shapes where the net can live on torch's "meta" device, so VGG-E takes no 575 MB. Parameters
and multiply-adds are columns of their own (see `vision.costs`). Where branches meet, the receptive field is that of
the widest; pixels of padding count, so it can be larger than the picture. Products between the tokens of a
transformer count as seeing the whole picture, also where a net keeps them to windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vision.following import Shape
from vision.tracing import Row, observe

if TYPE_CHECKING:
    from torch import nn

COLUMNS = ("layer", "kind", "output", "parameters", "multiply-adds", "field", "jump", "from")
NOT_RUN = "not run"


class DoesNotRun(ValueError):
    """A net that cannot take the inputs it was given."""


@dataclass(frozen=True)
class Layer:
    """One row.

    Attributes:
        inputs: the layers whose outputs it takes; `input` is the net's own.
        shape: of its output without the batch; None (told as "not run") for heads that run in training only, and for
            parameters that a module uses outside of any layer.
        parameters: trainable or not; of weights that several layers share, the first has them.
        macs: multiply-adds for one picture.
        field: sides of the receptive field in pixels; None if the net's input is no picture.
        jump: pixels between neighbours, the effective stride; None where there is one position only.
        start: centre of the first position's field, in pixels from the centre of the first.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: Shape | None
    parameters: int
    macs: int
    field: tuple[float, ...] | None
    jump: tuple[float, ...] | None
    start: tuple[float, ...] | None


@dataclass(frozen=True)
class Architecture:
    """A net's layers in the order in which they run, and its totals."""

    inputs: tuple[Shape, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[Shape, ...]

    @property
    def parameters(self) -> int:
        """Of all layers, each weight once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds for one picture."""
        return sum(layer.macs for layer in self.layers)

    @property
    def note(self) -> str:
        """How to read the columns."""
        return (
            "multiply-adds are for one picture: shared weights count once as parameters, and at every position as"
            " multiply-adds; field is the receptive field in pixels along the widest path, jump the effective stride"
        )

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: inputs, outputs, parameters, multiply_adds and layers."""
        totals = {"parameters": self.parameters, "multiply_adds": self.macs}
        layers = [{("multiply_adds" if k == "macs" else k): v for k, v in asdict(one).items()} for one in self.layers]
        return {"inputs": self.inputs, "outputs": self.outputs, **totals, "note": self.note, "layers": layers}

    def table(self) -> list[tuple[str, ...]]:
        """The report as text: a heading, a row for each layer, the totals."""
        rows = [COLUMNS, *(_row(layer) for layer in self.layers)]
        return [*rows, ("total", "", "", f"{self.parameters:,}", f"{self.macs:,}", "", "", "")]


def report(build: Callable[[], nn.Module], inputs: Sequence[Shape]) -> Architecture:
    """The architecture of the net that `build` makes.

    Args:
        build: makes the net; called under torch's "meta" device, and once more on the CPU if that cannot hold it.
        inputs: the shape of each input without the batch, such as (3, 224, 224).

    Raises:
        DoesNotRun: if the net cannot take such inputs, with torch's reason.
        ValueError: if it cannot be built.
    """
    shapes = tuple(tuple(shape) for shape in inputs)
    try:
        rows, outputs = _run(build, shapes, "meta")
    except Exception:
        # Whatever a net does that shapes alone cannot answer (a value read, a file loaded), the CPU can tell.
        rows, outputs = _on_the_cpu(build, shapes)
    return Architecture(shapes, tuple(map(_layer, rows)), tuple(shape[1:] for shape in outputs))


def count_parameters(build: Callable[[], nn.Module]) -> int:
    """The parameters of the net that `build` makes, each once, whether or not it can run."""
    import torch

    with torch.device("meta"):
        return sum(p.numel() for p in build().parameters())


def _on_the_cpu(build: Callable[[], nn.Module], shapes: tuple[Shape, ...]) -> tuple[list[Row], list[Shape]]:
    try:
        return _run(build, shapes, "cpu")
    except (RuntimeError, TypeError, IndexError) as error:
        given = ", ".join("x".join(map(str, shape)) for shape in shapes)
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DoesNotRun(f"the net cannot take an input of {given}: {reason}") from None


def _run(build: Callable[[], nn.Module], shapes: tuple[Shape, ...], device: str) -> tuple[list[Row], list[Shape]]:
    import torch

    with torch.device(device), torch.random.fork_rng(devices=[]):
        return observe(build(), tuple(torch.zeros(1, *shape) for shape in shapes))


def _layer(row: Row) -> Layer:
    shape = None if row.shape is None else row.shape[1:]
    spans = row.sees.spans if row.sees else ()
    jumps = tuple(span.jump for span in spans)
    return Layer(
        row.name,
        row.kind,
        row.inputs,
        shape,
        row.parameters,
        row.macs,
        tuple(span.size for span in spans) or None,
        jumps if any(jumps) else None,
        tuple(span.start for span in spans) or None,
    )


def _row(layer: Layer) -> tuple[str, ...]:
    shape = NOT_RUN if layer.shape is None else _by(layer.shape)
    numbers = (f"{layer.parameters:,}", f"{layer.macs:,}", _sides(layer.field), _sides(layer.jump))
    return layer.name, layer.kind, shape, *numbers, ", ".join(layer.inputs)


def _sides(values: tuple[float, ...] | None) -> str:
    if not values:
        return "-"
    return f"{values[0]:g}" if len(set(values)) == 1 else _by(values)


def _by(values: Sequence[float]) -> str:
    return "x".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
