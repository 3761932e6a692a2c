"""The net of Zeiler and Fergus: AlexNet in one column whose first filters are 7x7 with stride 2; 62,357,608 parameters.

Smaller first filters and half the stride keep the middle frequencies that 11x11 with stride 4 loses.
Departs from the paper: local response normalisation stands for its contrast normalisation.

Reference: Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, figure 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision.nets.alexnet import full_layers, rectified
from vision.nets.layers import draw, gaussian, local_response_norm

if TYPE_CHECKING:
    from torch import nn


def zeiler_fergus(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """The net: (B, channels, 224, 224) in, (B, classes) logits out; weights from N(0, 0.01^2), biases 0."""
    from torch import nn

    layers: list[nn.Module] = [
        *rectified(nn.Conv2d(channels, 96, 7, stride=2, padding=1)),  # (B, 96, 110, 110)
        nn.MaxPool2d(3, 2, padding=1),
        local_response_norm(),
        *rectified(nn.Conv2d(96, 256, 5, stride=2)),  # (B, 256, 26, 26)
        nn.MaxPool2d(3, 2, padding=1),
        local_response_norm(),
        *rectified(nn.Conv2d(256, 384, 3, padding=1)),  # (B, 384, 13, 13)
        *rectified(nn.Conv2d(384, 384, 3, padding=1)),
        *rectified(nn.Conv2d(384, 256, 3, padding=1)),
        nn.MaxPool2d(3, 2),  # (B, 256, 6, 6)
    ]
    full = full_layers(nn.Linear(256 * 6 * 6, 4096), nn.Linear(4096, 4096), classes, dropout)
    return draw(nn.Sequential(*layers, *full), gaussian)
