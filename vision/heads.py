"""A last layer fitted to embeddings that are there already: no picture is seen again, so that minutes are enough.

The head sees standardised features and is stored without them: mean and deviation are folded into its first layer, so
that behind the body it takes what the body gives. A linear head begins at zero, where every class is as likely.

Cost: 6 * D * K multiply-adds an example and epoch. 100,000 photos of 512 numbers and 3,300 cells are 10^12, a minute of
one core; with 23,000 cells it is seven.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vision import draws
from vision.accumulator import Array
from vision.optimisers import NAMES
from vision.schedules import Schedule
from vision.training import Batch, Costs, Micro, Recipe, Step

if TYPE_CHECKING:
    from torch import nn

_ROWS = 65536


def head(features: int, outputs: int, width: int = 0) -> nn.Module:
    """(B, features) in, (B, outputs) logits out: one full layer, or two with `width` rectified units between them."""
    from torch import nn

    if not width:
        return nn.Sequential(nn.Linear(features, outputs))
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, outputs))


def fit(
    features: Array,
    targets: Array,
    costs: Costs,
    outputs: int,
    *,
    width: int = 0,
    epochs: int = 10,
    batch_size: int = 256,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-4,
    optimizer: str = "adamw",
    seed: int = 0,
    say: Callable[[int, dict[str, float]], None] | None = None,
) -> nn.Module:
    """A head fitted by batches, its rate falling along a cosine; the same in every detail for the same examples.

    Args:
        features: (N, D) float32, in an order that the caller can repeat.
        targets: (N, ...) as `costs.loss` takes them.
        costs: what is learned.
        outputs: K.
        say: takes the number of each epoch and its mean loss with what `costs` measures.

    Returns:
        the head for features as they came, in evaluation mode.

    Raises:
        ValueError: if there are no examples, a feature is not finite, or the loss ceases to be a number.
    """
    import torch

    if features.ndim != 2 or not len(features) or len(features) != len(targets):
        raise ValueError(f"examples must be (N, D) with N targets, got {features.shape} and {len(targets)}")
    if optimizer not in NAMES:
        raise ValueError(f"optimizer must be one of {', '.join(NAMES)}, got {optimizer!r}")
    mean, deviation = _scale(features)
    net = _begun(features.shape[1], outputs, width, seed)
    steps = -(-len(features) // batch_size)
    recipe = Recipe(Schedule("cosine", learning_rate, epochs * steps), optimizer, weight_decay, seed=seed)
    step = Step(net, costs, recipe)
    for epoch in range(epochs):
        order, told = draws.permutation(len(features), seed, epoch), np.zeros(2 + len(costs.measured))
        for number in range(steps):
            rows = order[number * batch_size : (number + 1) * batch_size]
            inputs = torch.from_numpy(((features[rows] - mean) / deviation).astype(np.float32))
            micro = Micro(0, inputs, torch.from_numpy(targets[rows]))
            told += len(rows) * step(Batch(epoch * steps + number, len(rows), 1), [micro]).numpy()
        shares = told / len(features)
        if not np.isfinite(shares[0]):
            raise ValueError(f"the loss is {shares[0]} after epoch {epoch + 1}: try a smaller learning_rate")
        if say is not None:
            say(epoch + 1, dict(zip(("loss", *costs.measured), shares.tolist(), strict=False)))
    return _unscaled(net, mean, deviation)


def _begun(features: int, outputs: int, width: int, seed: int) -> Any:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: Any = head(features, outputs, width)
    torch.nn.init.zeros_(net[-1].weight)
    torch.nn.init.zeros_(net[-1].bias)
    return net


def _scale(features: Array) -> tuple[Array, Array]:
    """(D,) float64 means and deviations; 1 for a feature that never varies."""
    parts = range(0, len(features), _ROWS)
    mean = sum(features[s : s + _ROWS].sum(axis=0, dtype=np.float64) for s in parts) / len(features)
    squares = sum(((features[s : s + _ROWS] - mean) ** 2).sum(axis=0) for s in parts)
    deviation = np.sqrt(squares / len(features))
    if not np.isfinite(deviation).all():
        raise ValueError("features must be finite numbers, got nan or infinity among them")
    return mean, np.where(deviation <= 1e-7 * np.abs(mean), 1.0, deviation)


def _unscaled(net: Any, mean: Array, deviation: Array) -> nn.Module:
    """The head for features that are not standardised."""
    import torch

    first = net[0]
    with torch.no_grad():
        weight = first.weight.double() / torch.from_numpy(deviation)
        first.bias.copy_(first.bias.double() - weight @ torch.from_numpy(mean))
        first.weight.copy_(weight)
    found: nn.Module = net.eval().requires_grad_(False)
    return found
