"""How large a gradient is where it arrives: norms layer by layer, from the loss back to the pictures.

The gradient of an early layer is a product of one factor a layer: the derivative of the activation and the weights.
A sigmoid's derivative is 0.25 at most, so that L sigmoids let through 0.25^L of the signal unless weights make up for
it; a ReLU's is 1 on all units that are active. Weights whose largest singular value is above 1 may let it explode.

References: Hochreiter, "Untersuchungen zu dynamischen neuronalen Netzen", 1991; Glorot & Bengio, "Understanding the
difficulty of training deep feedforward neural networks", AISTATS 2010; He et al., "Deep residual learning", CVPR 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vision.training import Costs

if TYPE_CHECKING:
    import torch

STEEPEST = 0.25
"""The largest derivative of a sigmoid, at 0."""

AS_BUILT = "as-built"
ACTIVATIONS = {"relu": "ReLU", "sigmoid": "Sigmoid", "tanh": "Tanh", "identity": "Identity"}
_REPLACED = ("ReLU", "ReLU6", "Sigmoid", "Tanh", "SiLU", "GELU", "Hardswish")


@dataclass(frozen=True)
class Layer:
    """A layer with weights, in the order in which they ran.

    Attributes:
        weights: the Frobenius norm of the loss's gradient by its weights.
        signal: that by its output, over the whole batch.
        squashed: sigmoids that the signal came through on its way back from the last layer.
    """

    name: str
    weights: float
    signal: float
    squashed: int

    @property
    def bound(self) -> float:
        """What the sigmoids alone let through: 0.25 to the power of `squashed`."""
        return STEEPEST**self.squashed


def with_activation(net: torch.nn.Module, name: str) -> torch.nn.Module:
    """Replace every activation module of a net, in place; calls of functions inside its code stay as they are.

    Raises:
        ValueError: if there is no such activation, or nothing to replace.
    """
    from torch import nn

    if name == AS_BUILT:
        return net
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not one of {', '.join([AS_BUILT, *ACTIVATIONS])}")
    found = [
        (parent, child)
        for parent in net.modules()
        for child, module in parent.named_children()
        if type(module).__name__ in _REPLACED
    ]
    if not found:
        raise ValueError("the net has no activation module to replace")
    for parent, child in found:
        setattr(parent, child, getattr(nn, ACTIVATIONS[name])())
    return net


def layer_gradients(net: torch.nn.Module, inputs: torch.Tensor, targets: torch.Tensor, costs: Costs) -> list[Layer]:
    """The gradient of the mean loss of a batch at each layer with weights (convolutions and full layers).

    Args:
        net: in training mode afterwards, with gradients of this batch; its weights stay.
        inputs: (B, 3, h, w) float32, normalised.
        targets: (B, ...) as `costs` takes them.

    Raises:
        ValueError: if the net has no such layer that ran.
    """
    watch = _Watch(net)
    net.train().zero_grad()
    try:
        loss, _ = costs.loss(net(inputs), targets)
        (loss / len(inputs)).backward()  # type: ignore[no-untyped-call]
    finally:
        watch.leave()
    return watch.layers()


class _Watch:
    """Notes which layers ran, what came back to them, and the sigmoids between."""

    def __init__(self, net: torch.nn.Module) -> None:
        self._ran: list[tuple[str, Any, int]] = []
        self._signals: dict[str, float] = {}
        self._sigmoids = 0
        self._hooks: list[Any] = []
        for name, module in net.named_modules():
            weight = getattr(module, "weight", None)
            if type(module).__name__ == "Sigmoid":
                self._hooks.append(module.register_forward_hook(self._squash))
            elif weight is not None and weight.ndim >= 2:
                self._hooks.append(module.register_forward_hook(self._noter(name)))

    def _squash(self, _module: Any, _given: Any, _output: Any) -> None:
        self._sigmoids += 1

    def _noter(self, name: str) -> Any:
        def note(module: Any, _given: Any, output: Any) -> None:
            self._ran.append((name, module, self._sigmoids))
            # Before an activation that works in place changes it.
            output.register_hook(lambda gradient: self._signals.__setitem__(name, float(gradient.norm())))

        return note

    def leave(self) -> None:
        for hook in self._hooks:
            hook.remove()

    def layers(self) -> list[Layer]:
        if not self._ran:
            raise ValueError("the net has no convolution or full layer")
        last = self._ran[-1][2]
        return [
            Layer(name, float(module.weight.grad.norm()), self._signals[name], last - before)
            for name, module, before in self._ran
            if name in self._signals and module.weight.grad is not None
        ]
