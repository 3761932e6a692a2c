"""A classifier's body as the beginning of another net: its maps up to a layer, for detectors, captions and the like.

`nets.backbone:features` with {"net": "nets.resnet:resnet18", "layer": "layer4"} is a net by its dotted name as any
other. What it gives is a map and says how many channels it has, as torchvision's detectors ask of a backbone
(`out_channels`); averaged over its places it is the vector that a recurrent net begins a caption with.

References: Girshick, "Fast R-CNN", ICCV 2015; Vinyals, Toshev, Bengio & Erhan, "Show and tell", CVPR 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def features(net: str, layer: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """The maps of a net by its dotted name: (B, 3, H, W) in, (B, C, h, w) out; see `until`."""
    from vision import names

    return until(names.net(net, dict(arguments or {})), layer)


def until(net: nn.Module, layer: str) -> nn.Module:
    """A net up to a layer, with the net's own weights.

    Args:
        layer: its name as `named_modules` tells it; what it gives are maps (B, C, h, w).

    Returns:
        a module with `out_channels`, the C of its maps.

    Raises:
        ValueError: if there is no such layer, it gives no maps, or the net's code branches on its pixels.
    """
    import torch

    found = cut(net, layer)
    training = found.training
    with torch.no_grad():
        shape = tuple(found.eval()(torch.zeros(1, 3, 64, 64))["map"].shape)
    found.train(training)
    if len(shape) != 4:
        raise ValueError(f"layer {layer} gives {shape[1:]} for a picture, and a backbone gives maps (C, h, w)")
    backbone: nn.Module = _backbone_class()(found, shape[1])
    return backbone


def cut(net: nn.Module, layer: str) -> nn.Module:
    """A net up to a layer, with the net's own weights and names; it gives {"map": what the layer gives}.

    Raises:
        ValueError: if there is no such layer, or the net's code branches on its pixels.
    """
    from torchvision.models.feature_extraction import create_feature_extractor

    known = [name for name, _ in net.named_modules() if name]
    if layer not in known:
        raise ValueError(f"the net has no layer {layer!r}; it has {', '.join(known[:8])}, ...")
    try:
        found: nn.Module = create_feature_extractor(net, {layer: "map"})
    except Exception as error:
        # Tracing runs the net's own code on stand-ins, which may fail in whatever way that code fails.
        raise ValueError(f"{type(net).__name__} cannot be cut at {layer}: {error}") from None
    return found


@cache
def _backbone_class() -> Any:
    import torch
    from torch import nn

    class Backbone(nn.Module):
        def __init__(self, body: nn.Module, out_channels: int) -> None:
            super().__init__()
            self.body, self.out_channels = body, out_channels

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.body(pictures)["map"]
            return maps

    return Backbone
