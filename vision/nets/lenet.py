"""LeNet-5 as it is built today: two convolutions with pooling, three full layers; 61,706 parameters for 28 x 28 grey.

Departs from the paper: average pooling without weights, every map of the second convolution sees all of the first,
and a linear last layer in place of radial basis functions.

Reference: LeCun, Bottou, Bengio & Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def lenet5(classes: int = 10, channels: int = 1) -> torch.nn.Module:
    """The net: (B, channels, 28, 28) in, (B, classes) logits out."""
    from torch import nn

    layers: list[tuple[str, nn.Module]] = [
        ("conv1", nn.Conv2d(channels, 6, 5, padding=2)),
        ("tanh1", nn.Tanh()),
        ("pool1", nn.AvgPool2d(2)),  # (B, 6, 14, 14)
        ("conv2", nn.Conv2d(6, 16, 5)),
        ("tanh2", nn.Tanh()),
        ("pool2", nn.AvgPool2d(2)),  # (B, 16, 5, 5)
        ("flat", nn.Flatten()),
        ("full3", nn.Linear(400, 120)),
        ("tanh3", nn.Tanh()),
        ("full4", nn.Linear(120, 84)),
        ("tanh4", nn.Tanh()),
        ("full5", nn.Linear(84, classes)),
    ]
    return nn.Sequential(OrderedDict(layers))
