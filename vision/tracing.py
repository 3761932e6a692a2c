"""A net run once under observation: its layers in order, with what they took and gave, cost and see.

Every operation of torch is seen as it happens, so any module that runs can be told, whatever its code does. Layers
are modules without children (and torch's own, such as attention); operations between them, such as a sum of two
branches, get rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from vision.costs import multiply_adds
from vision.following import Field, Shape, through

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass
class Row:
    """One layer, as it is being run."""

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    shape: Shape | None = None
    parameters: int = 0
    macs: int = 0
    sees: Field | None = None


@dataclass(frozen=True)
class Trace:
    """Where a tensor comes from, and what it sees."""

    sees: Field
    sources: tuple[str, ...]


@dataclass
class Observer:
    """Collects rows while a net runs; `traces` maps tensors to what is known of them, and forgets them with them."""

    traces: Any
    rows: list[Row] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    layer: Row | None = None
    operations: int = 0
    counted: set[int] = field(default_factory=set)
    started: int = 0
    depth: int = 0

    def enter(self, name: str, module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        """A module is about to run."""
        self.inside.append(name)
        if self.layer is not None or not is_layer(module):
            return
        known = [self.traces[t] for t in _tensors((given, named)) if t in self.traces]
        self.depth = len(self.inside)
        self.layer = Row(self._unused(name or "net"), type(module).__name__, _sources(known))
        self.layer.parameters = self.count(module, recurse=True)
        self.started = self.operations
        self.rows.append(self.layer)

    def leave(self, output: Any) -> None:
        """The module entered last has run."""
        self.inside.pop()
        row = self.layer
        if row is None or len(self.inside) >= self.depth:
            return
        self.layer = None
        for tensor in _tensors(output):
            row.shape = row.shape or tuple(tensor.shape)
            if tensor in self.traces:
                row.sees = row.sees or self.traces[tensor].sees
                # A module that did nothing has handed its input on: that still comes from where it came from.
                if self.operations > self.started:
                    self.traces[tensor] = replace(self.traces[tensor], sources=(row.name,))

    def saw(self, name: str, call: dict[str, Any], output: Any) -> None:
        """An operation has happened."""
        self.operations += 1
        taken = [t for t in _tensors(tuple(call.values())) if t in self.traces]
        made = _tensors(output)
        if not taken or not made:
            return
        known = [self.traces[t] for t in taken]
        sees, sources = self._followed(name, call, taken, made[0]), _sources(known)
        macs = multiply_adds(name, call, made[0])
        if self.layer is not None:
            self.layer.macs += macs
        elif macs or len(sources) > 1 or sees.spans != known[0].sees.spans:
            sources = (self._between(name, sources, made[0], macs, sees).name,)
        for tensor in made:
            self.traces[tensor] = Trace(sees, sources)

    def count(self, module: nn.Module, recurse: bool) -> int:
        """Parameters of a module that no row has counted yet."""
        fresh = [p for p in module.parameters(recurse) if id(p) not in self.counted]
        self.counted.update(map(id, fresh))
        return sum(p.numel() for p in fresh)

    def _followed(self, name: str, call: dict[str, Any], taken: list[torch.Tensor], made: torch.Tensor) -> Field:
        after = tuple(made.shape)
        fields = [through(name, call, self.traces[t].sees, tuple(t.shape), after) for t in taken]
        merged = fields[0]
        for other in fields[1:]:
            merged = merged.merged(other)
        return merged

    def _between(self, name: str, sources: tuple[str, ...], made: torch.Tensor, macs: int, sees: Field) -> Row:
        kind = name.strip("_")
        place = ".".join(part for part in (self.inside[-1] if self.inside else "", kind) if part)
        row = Row(self._unused(place), kind, sources, tuple(made.shape), 0, macs, sees)
        self.rows.append(row)
        return row

    def _unused(self, name: str) -> str:
        taken = {row.name for row in self.rows}
        return next(n for n in (name, *(f"{name} ({i})" for i in range(2, len(taken) + 3))) if n not in taken)


def is_layer(module: nn.Module) -> bool:
    """Whether a module is told as one: it has no children, or it is torch's own and no container."""
    containers = ("torch.nn.modules.container",)
    own = type(module).__module__
    return next(module.children(), None) is None or (own.startswith("torch.nn.") and own not in containers)


def observe(net: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[list[Row], list[Shape]]:
    """Run a net in evaluation, and give its rows and the shapes of its outputs.

    Args:
        inputs: one tensor (1, ...) for each argument of the net, on its device; "meta" computes shapes alone.
    """
    import torch
    from torch.utils.weak import WeakTensorKeyDictionary

    observer = Observer(WeakTensorKeyDictionary())
    for number, tensor in enumerate(inputs):
        name = "input" if len(inputs) == 1 else f"input {number + 1}"
        observer.traces[tensor] = Trace(Field.of_input(tuple(tensor.shape)), (name,))
    handles = [handle for name, module in net.named_modules() for handle in _hooked(observer, name, module)]
    training, fast = net.training, torch.backends.mha.get_fastpath_enabled()
    # Attention's fast path is one operation that tells nothing of its products.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), _mode()(observer):
            outputs = net.eval()(*inputs)
    finally:
        net.train(training)
        torch.backends.mha.set_fastpath_enabled(fast)
        for handle in handles:
            handle.remove()
    _add_the_rest(observer, net)
    return observer.rows, [tuple(t.shape) for t in _tensors(outputs)]


def _hooked(observer: Observer, name: str, module: nn.Module) -> list[Any]:
    def before(_module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        observer.enter(name, module, given, named)

    def after(_module: nn.Module, _given: tuple[Any, ...], output: Any) -> None:
        observer.leave(output)

    return [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]


def _add_the_rest(observer: Observer, net: nn.Module) -> None:
    """Rows for parameters that no layer has: a token of a transformer, heads that run in training only."""
    for name, module in net.named_modules():
        if count := observer.count(module, recurse=False):
            observer.rows.append(Row(observer._unused(name or "net"), type(module).__name__, parameters=count))


@cache
def _mode() -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Observing(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self, observer: Observer) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.observer = observer

        def __torch_dispatch__(
            self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            named = kwargs or {}
            output = operation(*args, **named)
            wanted = operation._schema.arguments
            call = {a.name: a.default_value for a in wanted if a.has_default_value()}
            call |= {a.name: value for a, value in zip(wanted, args, strict=False)} | named
            name = operation._schema.name.removeprefix("aten::")
            self.observer.saw(name if name.startswith("_") else name.removesuffix("_"), call, output)
            return output

    return Observing


def _sources(traces: list[Trace]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source for trace in traces for source in trace.sources))


def _tensors(value: Any) -> list[torch.Tensor]:
    """The tensors in nested tuples, lists and dictionaries, in order."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        return _tensors(tuple(value.values()))
    return [t for part in value for t in _tensors(part)] if isinstance(value, tuple | list) else []
