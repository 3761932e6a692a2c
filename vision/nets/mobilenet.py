"""MobileNets: version 1 written from the paper (4,231,976 parameters), 2 (3,504,872) and 3 from torchvision.

A depthwise 3x3 and a pointwise 1x1 convolution stand for one 3x3: with N filters of side D they cost 1/N + 1/D^2 of
its multiply-adds, about an eighth for D = 3.

Reference: Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", 2017;
Sandler et al., "MobileNetV2", CVPR 2018; Howard et al., "Searching for MobileNetV3", ICCV 2019.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision.nets.layers import draw, he

if TYPE_CHECKING:
    from torch import nn

_FILTERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""(filters, stride) of each separable convolution."""


def mobilenet_v1(classes: int = 1000, channels: int = 3, width: float = 1.0) -> nn.Module:
    """The net: (B, channels, 224, 224) in, (B, classes) logits out; 32 pixels are the least.

    Args:
        width: multiplies the filters of every layer, 0.25 to 1 in the paper; above 0.

    Raises:
        ValueError: if `width` is not above 0.
    """
    from torch import nn

    if width <= 0:
        raise ValueError(f"width must be above 0, got {width}")
    before = _scaled(32, width)
    layers = [_normalised(nn.Conv2d(channels, before, 3, stride=2, padding=1, bias=False))]
    for filters, stride in _FILTERS:
        layers.append(separable(before, _scaled(filters, width), stride))
        before = _scaled(filters, width)
    ending = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)]
    return draw(nn.Sequential(*layers, *ending), he)


def separable(channels: int, filters: int, stride: int = 1) -> nn.Sequential:
    """One 3x3 filter a channel, then 1x1 across them, each with batch normalisation and ReLU.

    (B, channels, H, W) in, (B, filters, ceil(H / stride), ceil(W / stride)) out.
    """
    from torch import nn

    depthwise = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False)
    pointwise = nn.Conv2d(channels, filters, 1, bias=False)
    return nn.Sequential(_normalised(depthwise), _normalised(pointwise))


def _normalised(conv: nn.Conv2d) -> nn.Sequential:
    from torch import nn

    return nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU(inplace=True))


def _scaled(filters: int, width: float) -> int:
    return max(1, int(filters * width))


def mobilenet_v2(classes: int = 1000, width: float = 1.0) -> nn.Module:
    """torchvision's MobileNetV2: inverted residuals with linear bottlenecks."""
    import torchvision

    net: nn.Module = torchvision.models.mobilenet_v2(num_classes=classes, width_mult=width)
    return net


def mobilenet_v3_small(classes: int = 1000) -> nn.Module:
    """torchvision's small MobileNetV3."""
    import torchvision

    net: nn.Module = torchvision.models.mobilenet_v3_small(num_classes=classes)
    return net


def mobilenet_v3_large(classes: int = 1000) -> nn.Module:
    """torchvision's large MobileNetV3."""
    import torchvision

    net: nn.Module = torchvision.models.mobilenet_v3_large(num_classes=classes)
    return net
