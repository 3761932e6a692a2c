"""Fully convolutional nets: one pass over a picture answers for every pixel.

`fcn` scores a VGG body's maps at strides 32, 16 and 8, adds them where they meet, and upsamples to the picture's size.
`window` is the other root: a classifier of one pixel from the window round it. `every_pixel` turns such a net into one
that gives in one pass what it gives at every window: pooling no longer skips pixels, and what follows looks as far
apart as the pooling would have. That is what makes dense answers cheap: windows cut out one by one share almost all of
their work with their neighbours, and each does it again.

References: Shelhamer, Long & Darrell, "Fully convolutional networks for semantic segmentation", 2017 (strides 32, 16,
8; bilinear upsampling); Ciresan, Giusti, Gambardella & Schmidhuber, "Deep neural networks segment neuronal membranes in
electron microscopy images", NIPS 2012 (the window net); Giusti et al., "Fast image scanning with deep max-pooling
convolutional neural networks", ICIP 2013; Yu & Koltun, "Multi-scale context aggregation by dilated convolutions", 2016.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from vision.nets.layers import draw, he
from vision.nets.overfeat import dense

if TYPE_CHECKING:
    import torch
    from torch import nn

STRIDES = (32, 16, 8)
WIDTHS, CONVOLUTIONS = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3)  # VGG's configuration D


def fcn(classes: int = 2, channels: int = 1, stride: int = 8, narrow: int = 8, hidden: int = 4096) -> nn.Module:
    """An FCN over VGG-16's convolutions: (B, channels, Y, X) in, (B, classes, Y, X) logits out.

    Args:
        stride: of the finest maps that are scored: 32, 16 or 8.
        narrow: divides the numbers of maps; 1 is the paper's, 8 trains on a CPU.
        hidden: width of the two layers that were full ones, before it is divided by `narrow`.

    Raises:
        ValueError: if the stride is none of the three, or nothing would be left of a layer.
    """
    if stride not in STRIDES or not 1 <= narrow <= min(WIDTHS) or hidden < narrow:
        raise ValueError(f"an FCN has stride 32, 16 or 8 and is narrowed by 1 to 64, got {stride}, {narrow}, {hidden}")
    net: nn.Module = _fcn_class()(classes, channels, stride, narrow, hidden // narrow)
    return draw(net, he)


def fcn32s(classes: int = 21, channels: int = 3) -> nn.Module:
    """The paper's coarsest: 134,346,581 parameters with 3 channels and 21 classes."""
    return fcn(classes, channels, 32, 1)


def fcn16s(classes: int = 21, channels: int = 3) -> nn.Module:
    """With pool4's maps scored too."""
    return fcn(classes, channels, 16, 1)


def fcn8s(classes: int = 21, channels: int = 3) -> nn.Module:
    """With pool4's and pool3's maps scored too."""
    return fcn(classes, channels, 8, 1)


@cache
def _fcn_class() -> Any:
    from torch import nn

    def stage(before: int, filters: int, count: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for number in range(count):
            layers += [nn.Conv2d(before if number == 0 else filters, filters, 3, padding=1), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True))

    class Fcn(nn.Module):
        def __init__(self, classes: int, channels: int, stride: int, narrow: int, hidden: int) -> None:
            super().__init__()
            widths = [width // narrow for width in WIDTHS]
            self.stages = nn.ModuleList(map(stage, [channels, *widths[:-1]], widths, CONVOLUTIONS))
            # The paper pads its input by 100 so that a kernel of 7 fits; padding the kernel gives every size a place.
            self.full = nn.Sequential(
                nn.Conv2d(widths[-1], hidden, 7, padding=3), nn.ReLU(inplace=True), nn.Dropout2d(),
                nn.Conv2d(hidden, hidden, 1), nn.ReLU(inplace=True), nn.Dropout2d(),
            )  # fmt: skip
            self.score = nn.Conv2d(hidden, classes, 1)
            skipped = {16: 1, 8: 2}.get(stride, 0)
            self.skips = nn.ModuleList(nn.Conv2d(widths[-2 - k], classes, 1) for k in range(skipped))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            size, maps = x.shape[2:], []
            for part in self.stages:
                x = part(x)
                maps.append(x)
            found = self.score(self.full(x))
            for k, skip in enumerate(self.skips):
                found = _grown(found, maps[-2 - k].shape[2:]) + skip(maps[-2 - k])
            return _grown(found, size)

    return Fcn


def _grown(maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Bilinear, which is what the paper's transposed convolutions begin as (and the last one stays)."""
    from torch.nn import functional

    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def window(classes: int = 2, channels: int = 1, side: int = 31, width: int = 16) -> nn.Module:
    """A pixel from the window round it: (B, channels, side, side) in, (B, classes) logits out.

    Three convolutions, the first two pooled, and two full layers; nothing is padded. At width 48 and side 65, with one
    more stage, it would be the net that won ISBI 2012.

    Raises:
        ValueError: if the window leaves nothing, or its maps do not halve.
    """
    from torch import nn

    left = side - 3  # after a kernel of 4, maps are pooled by 2 twice, each followed by a kernel of 3
    for _ in range(2):
        if left % 2 or left < 6:
            raise ValueError(f"the sides of a window must be 19, 23, 27, 31, ..., got {side}")
        left = left // 2 - 2
    body = [
        nn.Conv2d(channels, width, 4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3), nn.ReLU(inplace=True),
    ]  # fmt: skip
    full = [nn.Flatten(), nn.Linear(width * left**2, 4 * width), nn.ReLU(inplace=True), nn.Linear(4 * width, classes)]
    return draw(nn.Sequential(*body, *full), he)


def every_pixel(net: nn.Module) -> nn.Sequential:
    """A window's classifier as one for all pixels: (B, C, H, W) in, (B, classes, H - side + 1, W - side + 1) out.

    Place (y, x) of the output is what `net` says of the window whose first pixel is (y, x). Layers are copied.

    Raises:
        ValueError: if the net is no row of convolutions and poolings before full layers, or pads: then windows cut
            out see zeros where this sees pixels, and nothing is equal.
    """
    from torch import nn

    made: list[nn.Module] = []
    apart = 1  # pixels between what were neighbours on a map
    for layer in dense(net):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            made.append(_spread(layer, apart))
            apart *= _one(layer.stride)
        elif getattr(layer, "training", False) and isinstance(layer, nn.BatchNorm2d):
            raise ValueError("a net in training averages over its batch: take it in evaluation mode")
        else:
            made.append(layer)
    return nn.Sequential(*made).train(net.training)


def _spread(layer: Any, apart: int) -> nn.Module:
    """A convolution or pooling at every pixel, its inputs `apart` pixels from each other."""
    import torch
    from torch import nn

    if _one(layer.padding) or _one(layer.dilation) != 1:
        raise ValueError(f"{layer} pads or is dilated: windows cut out would see something else")
    if isinstance(layer, nn.MaxPool2d):
        return nn.MaxPool2d(layer.kernel_size, stride=1, dilation=apart)
    made = nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, dilation=apart,
        bias=layer.bias is not None, groups=layer.groups,
    )  # fmt: skip
    with torch.no_grad():
        made.load_state_dict(layer.state_dict())
    return made


def _one(value: Any) -> int:
    """The same number along both axes."""
    values = set(value) if isinstance(value, tuple) else {value}
    if len(values) != 1:
        raise ValueError(f"a layer with different steps along y and x ({value}) cannot be spread")
    return int(values.pop())
