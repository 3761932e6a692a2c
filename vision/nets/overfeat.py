"""OverFeat: a classifier whose full layers are convolutions, so that one pass over a large picture scores all windows.

A full layer on a (C, h, w) map is a convolution of side h x w; the next ones are 1 x 1. On a larger picture the same
weights give a map of scores, one for each window, at the net's jump (effective stride) from each other. Where no layer
before pads, each score is that of the window cut out; padding lets a window's border see its neighbours instead of 0.

Reference: Sermanet et al., "OverFeat: integrated recognition, localization and detection using convolutional
networks", ICLR 2014, section 3.5 and table 1 (the fast net: 145 million parameters).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vision.nets.alexnet import full_layers, rectified
from vision.nets.layers import draw, gaussian

if TYPE_CHECKING:
    from torch import nn


def overfeat_fast(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """The paper's fast net: (B, channels, 231, 231) in, (B, classes) logits out; 145,920,872 parameters, jump 32."""
    from torch import nn

    layers: list[nn.Module] = [
        *rectified(nn.Conv2d(channels, 96, 11, stride=4)),  # (B, 96, 56, 56)
        nn.MaxPool2d(2, 2),
        *rectified(nn.Conv2d(96, 256, 5)),  # (B, 256, 24, 24)
        nn.MaxPool2d(2, 2),
        *rectified(nn.Conv2d(256, 512, 3, padding=1)),  # (B, 512, 12, 12)
        *rectified(nn.Conv2d(512, 1024, 3, padding=1)),
        *rectified(nn.Conv2d(1024, 1024, 3, padding=1)),
        nn.MaxPool2d(2, 2),  # (B, 1024, 6, 6)
    ]
    full = full_layers(nn.Linear(1024 * 6 * 6, 3072), nn.Linear(3072, 4096), classes, dropout)
    return draw(nn.Sequential(*layers, *full), gaussian)


def dense(net: nn.Module) -> nn.Sequential:
    """The classifier as a map of scores: (B, C, H, W) in, (B, classes, h, w) out.

    Full layers are copied; the layers before are those of `net` itself.

    Args:
        net: layers one after the other (nested `Sequential`s, or torchvision's AlexNet and VGG): convolutions, then
            flattening, then full layers on a square map. An adaptive pooling to that map is the identity at the size
            the net was made for, and is dropped.

    Raises:
        ValueError: if the net is not of that form, saying which layer is not.
    """
    from torch import nn

    made: list[nn.Module] = []
    channels = 0
    for layer in _in_order(net):
        if isinstance(layer, nn.Linear):
            made.append(_as_convolution(layer, channels))
            channels = layer.out_features
        elif not isinstance(layer, nn.Flatten | nn.AdaptiveAvgPool2d):
            made.append(layer)
            channels = getattr(layer, "out_channels", channels)
        elif isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1)):
            raise ValueError("a net that averages over the whole picture has no window: it cannot be made dense")
    return nn.Sequential(*made).train(net.training)


def averaged(net: nn.Module) -> nn.Module:
    """The classifier for pictures of any size, (B, C, H, W) in and (B, classes) out: its map of scores averaged.

    A net that averages over its last maps takes any size as it is. Where one full layer follows, its scores are the
    mean of the map that `dense` would give, for a mean and a linear layer can change places.

    Raises:
        ValueError: if the net is of neither form.
    """
    from torch import nn

    try:
        return nn.Sequential(dense(net), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train(net.training)
    except ValueError:
        pools = [layer for layer in net.modules() if isinstance(layer, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d)]
        if any(pool.output_size not in (1, (1, 1)) for pool in pools):
            raise
        return net


def dense_net(net: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """`dense` of a net by its dotted name: `nets.overfeat:dense_net` with {"net": "nets.vgg:vgg_d"}."""
    from vision import names

    return dense(names.net(net, dict(arguments or {})))


def _in_order(net: nn.Module) -> Iterator[nn.Module]:
    from torch import nn
    from torchvision.models import VGG, AlexNet

    if isinstance(net, nn.Sequential | AlexNet | VGG):
        for child in net.children():
            yield from _in_order(child)
    elif next(net.children(), None) is not None:
        raise ValueError(f"{type(net).__name__} is not a row of layers: it cannot be made dense")
    else:
        yield net


def _as_convolution(layer: nn.Linear, channels: int) -> nn.Conv2d:
    import torch
    from torch import nn

    side = math.isqrt(layer.in_features // channels) if channels else 0
    if not side or channels * side**2 != layer.in_features:
        raise ValueError(
            f"a full layer on {layer.in_features} values is not one on a square map of {channels} channels"
        )
    made = nn.Conv2d(channels, layer.out_features, side, bias=layer.bias is not None, device=layer.weight.device)
    with torch.no_grad():
        made.weight.copy_(layer.weight.reshape(made.weight.shape))
        if made.bias is not None:
            made.bias.copy_(layer.bias)
    return made
