"""Optimisers by name, with weight decay on weights alone, and an average of the weights over time.

Norms and biases are not decayed: they have one dimension, and shrinking them only changes scales that the net has to
learn again. Reference: He et al., "Bag of tricks for image classification", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAMES = ("sgd", "nesterov", "adam", "adamw")
MOMENTUM = 0.9


def optimiser(name: str, net: torch.nn.Module, rate: float, decay: float) -> torch.optim.Optimizer:
    """An optimiser of the parameters that are trained, in two groups: weights, and norms and biases without decay.

    Raises:
        ValueError: if the name is none of `NAMES`.
    """
    import torch

    trained = [p for p in net.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if name in ("sgd", "nesterov"):
        return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, nesterov=name == "nesterov")
    if name in ("adam", "adamw"):
        return (torch.optim.Adam if name == "adam" else torch.optim.AdamW)(groups, lr=rate)
    raise ValueError(f"optimizer {name!r} is not one of {', '.join(NAMES)}")


def packed(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """What an optimiser remembers, as tensors by `<parameter>.<name>`."""
    import torch

    state = optimizer.state_dict()["state"]
    tensors = ((f"{index}.{name}", value) for index, values in state.items() for name, value in values.items())
    return {name: torch.as_tensor(value) for name, value in tensors if value is not None}


def restore(optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    """Make an optimiser remember what `packed` gave."""
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, field = name.partition(".")
        state.setdefault(int(index), {})[field] = tensor
    whole = optimizer.state_dict()
    optimizer.load_state_dict({**whole, "state": state})


class Average:
    """An exponential moving average of a net's weights and statistics; young ones forget faster.

    Args:
        net: what is averaged.
        decay: share that is kept at each step; at step t at most (1 + t) / (10 + t).
    """

    def __init__(self, net: torch.nn.Module, decay: float) -> None:
        self._live = net.state_dict(keep_vars=False)
        self._decay = decay
        self.state = {name: tensor.clone() for name, tensor in self._live.items()}

    def update(self, step: int) -> None:
        """Take in the weights after step number `step`; counters are copied."""
        import torch

        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        floats = [name for name, tensor in self.state.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([self.state[n] for n in floats], [self._live[n] for n in floats], weight)
        for name in self.state.keys() - set(floats):
            self.state[name].copy_(self._live[name])

    def load(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from an average that was kept."""
        for name, tensor in self.state.items():
            tensor.copy_(state[name])
