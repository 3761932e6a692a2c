"""A small net that says from pictures of a border whether the two fragments are one neuron, and how it learns it.

The three pictures of a place go through the same layers, and what they give is averaged: the net has no idea of up and
down. It has some 30,000 weights, since labelled crops have a few thousand borders.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

NAME = "connectomics.border_net:border_net"


def border_net(channels: int, width: int = 16, dropout: float = 0.2) -> nn.Module:
    """The net: (B, 3, channels, S, S) pictures to (B,) logits, above 0 for one neuron.

    Raises:
        ValueError: if there is no channel, or no width.
    """
    if channels < 1 or width < 1 or not 0 <= dropout < 1:
        raise ValueError(f"a net of borders needs channels, width and dropout below 1, got {channels, width, dropout}")
    return _class()(channels, width, dropout)  # type: ignore[no-any-return]


@cache
def _class() -> Any:
    import torch
    from torch import nn

    def block(inputs: int, outputs: int, side: int = 3, stride: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    class BorderNet(nn.Module):
        def __init__(self, channels: int, width: int, dropout: float) -> None:
            super().__init__()
            self.features = nn.Sequential(
                *block(channels, width, side=5, stride=2), *block(width, 2 * width), nn.MaxPool2d(2),
                *block(2 * width, 4 * width),
            )  # fmt: skip
            self.head = nn.Sequential(
                nn.Linear(8 * width, 2 * width), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(2 * width, 1)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.features(x.flatten(0, 1))  # (3 B, 4 width, S / 4, S / 4)
            seen = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
            return self.head(seen.view(*x.shape[:2], -1).mean(1)).squeeze(1)  # type: ignore[no-any-return]

    return BorderNet


class Costs:
    """Cross entropy of places; see `vision.training.Costs`."""

    measured = ("right",)

    def loss(self, outputs: Any, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The sum over (B,) logits and answers 0 or 1, and (1,) how many were right."""
        from torch.nn import functional

        right = ((outputs.detach() > 0) == (targets > 0.5)).sum().float()
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="sum"), right.view(1)
