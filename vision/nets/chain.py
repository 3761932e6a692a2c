"""A chain of full layers of one width: the plainest net in which a gradient can vanish or explode.

Weights are orthogonal times a gain, so that only the activations and the gain change how long the signal is on its
way back: with sigmoids and gain 1 each layer lets through a quarter at most, with gain 2 and no activation it doubles.

References: Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
networks", ICLR 2014 (orthogonal weights); Hochreiter, 1991 (the quarter).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SIDE = 8
"""Pictures are averaged to 8 x 8 pixels first."""


def chain(depth: int, classes: int = 10, channels: int = 3, width: int = 64, gain: float = 1.0) -> torch.nn.Module:
    """The net of `depth` hidden layers: (B, channels, h, w) in, (B, classes) logits out.

    Raises:
        ValueError: if there is no hidden layer.
    """
    from torch import nn

    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(SIDE), nn.Flatten()]
    before = channels * SIDE * SIDE
    for _ in range(depth):
        layers += [nn.Linear(before, width), nn.ReLU()]
        before = width
    net = nn.Sequential(*layers, nn.Linear(before, classes))
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, gain)
            nn.init.zeros_(module.bias)
    return net
