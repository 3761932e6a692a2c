"""Residual nets for ImageNet and their plain twins: torchvision's 18, 34, 50, 101 and 152, and 18 and 34 without skips.

Parameters: 11,689,512, 21,797,672, 25,557,032, 44,549,160 and 60,192,808; plain 11,515,688 and 21,623,848, which is
the twin less the 173,824 of its three projections. torchvision halves the resolution in the 3x3 of a bottleneck where
the paper does in the 1x1 before it. The nets for CIFAR come from `vision.nets.cifar_resnet` and have names here too.

Reference: He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from vision.nets.cifar_resnet import (
    cifar_resnet,
    plain20,
    plain32,
    plain44,
    plain56,
    plain110,
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "cifar_resnet",
    "plain18",
    "plain20",
    "plain32",
    "plain34",
    "plain44",
    "plain56",
    "plain110",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
]


def resnet18(classes: int = 1000) -> nn.Module:
    """18 layers: (B, 3, 224, 224) in, (B, classes) logits out, as all below."""
    return _residual(18, classes)


def resnet34(classes: int = 1000) -> nn.Module:
    """34 layers."""
    return _residual(34, classes)


def resnet50(classes: int = 1000) -> nn.Module:
    """50 layers, in bottlenecks of 1x1, 3x3 and 1x1."""
    return _residual(50, classes)


def resnet101(classes: int = 1000) -> nn.Module:
    """101 layers."""
    return _residual(101, classes)


def resnet152(classes: int = 1000) -> nn.Module:
    """152 layers."""
    return _residual(152, classes)


def plain18(classes: int = 1000) -> nn.Module:
    """`resnet18` without its skips: the same convolutions one after the other."""
    return _plain([2, 2, 2, 2], classes)


def plain34(classes: int = 1000) -> nn.Module:
    """`resnet34` without its skips."""
    return _plain([3, 4, 6, 3], classes)


def _residual(depth: int, classes: int) -> nn.Module:
    import torchvision

    net: nn.Module = getattr(torchvision.models, f"resnet{depth}")(num_classes=classes)
    return net


def _plain(layers: list[int], classes: int) -> nn.Module:
    from torchvision.models.resnet import ResNet

    net: nn.Module = ResNet(_plain_block(), layers, num_classes=classes)
    return net


@cache
def _plain_block() -> Any:
    from torchvision.models.resnet import BasicBlock

    class PlainBlock(BasicBlock):  # type: ignore[misc]
        """Two convolutions as in torchvision's block; the projection it is handed is dropped."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.downsample = None

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            inner = self.relu(self.bn1(self.conv1(x)))
            outer: torch.Tensor = self.relu(self.bn2(self.conv2(inner)))
            return outer

    return PlainBlock
