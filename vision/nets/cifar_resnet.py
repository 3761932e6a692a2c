"""Residual nets of 6n + 2 layers for 32 x 32 pictures, and their plain twins with the same parameters.

20 layers have 269,722, 32: 464,154, 44: 658,586, 56: 853,018, 110: 1,727,962, with or without skips, since option A
(zeros for the channels that are new) has no parameters. The paper's errors on CIFAR-10: 8.75, 7.51, 7.17, 6.97 and
6.43 % with skips; without, 56 layers train to a higher error than 20.

Reference: He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision.nets.layers import draw, he, padded_shortcut, residual_unit

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (16, 32, 64)


def cifar_resnet(depth: int, classes: int = 10, channels: int = 3, residual: bool = True) -> nn.Module:
    """The net of `depth` layers: (B, channels, 32, 32) in, (B, classes) logits out; any size from 4 pixels works.

    Raises:
        ValueError: if `depth` is not 6n + 2 with n of 1 or more.
    """
    from torch import nn

    if depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, ...), got {depth}")
    layers: list[nn.Module] = [*_normalised(channels, WIDTHS[0], 1), nn.ReLU(inplace=True)]
    before = WIDTHS[0]
    for width in WIDTHS:
        for _ in range((depth - 2) // 6):
            layers.append(_unit(before, width, residual))
            before = width
    ending = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return draw(nn.Sequential(*layers, *ending), he)


def _unit(before: int, width: int, residual: bool) -> nn.Module:
    from torch import nn

    stride = 1 if before == width else 2
    first = [*_normalised(before, width, stride), nn.ReLU(inplace=True)]
    body = nn.Sequential(*first, *_normalised(width, width, 1))
    if not residual:
        return body.append(nn.ReLU(inplace=True))
    return residual_unit(body, None if stride == 1 else padded_shortcut(width - before, stride))


def _normalised(channels: int, filters: int, stride: int) -> tuple[nn.Module, nn.Module]:
    from torch import nn

    return nn.Conv2d(channels, filters, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(filters)


def resnet20(classes: int = 10, channels: int = 3) -> nn.Module:
    """20 layers with skips."""
    return cifar_resnet(20, classes, channels)


def resnet32(classes: int = 10, channels: int = 3) -> nn.Module:
    """32 layers with skips."""
    return cifar_resnet(32, classes, channels)


def resnet44(classes: int = 10, channels: int = 3) -> nn.Module:
    """44 layers with skips."""
    return cifar_resnet(44, classes, channels)


def resnet56(classes: int = 10, channels: int = 3) -> nn.Module:
    """56 layers with skips."""
    return cifar_resnet(56, classes, channels)


def resnet110(classes: int = 10, channels: int = 3) -> nn.Module:
    """110 layers with skips."""
    return cifar_resnet(110, classes, channels)


def plain20(classes: int = 10, channels: int = 3) -> nn.Module:
    """20 layers without skips."""
    return cifar_resnet(20, classes, channels, residual=False)


def plain32(classes: int = 10, channels: int = 3) -> nn.Module:
    """32 layers without skips."""
    return cifar_resnet(32, classes, channels, residual=False)


def plain44(classes: int = 10, channels: int = 3) -> nn.Module:
    """44 layers without skips."""
    return cifar_resnet(44, classes, channels, residual=False)


def plain56(classes: int = 10, channels: int = 3) -> nn.Module:
    """56 layers without skips."""
    return cifar_resnet(56, classes, channels, residual=False)


def plain110(classes: int = 10, channels: int = 3) -> nn.Module:
    """110 layers without skips."""
    return cifar_resnet(110, classes, channels, residual=False)
