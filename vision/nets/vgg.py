"""VGG A, A-LRN, B, C, D and E: stacks of 3x3 convolutions between poolings, then three full layers.

Parameters: A and A-LRN 132,863,336, B 133,047,848, C 133,638,952, D 138,357,544, E 143,667,240. Two 3x3 layers see
5x5 pixels, three see 7x7 with 3 * 3^2 = 27 weights a pair of channels in place of 7^2 = 49. The columns are those of
the paper's table 1; copies that list one layer a stage for every column give other counts.

Layers and names are those of torchvision's vgg11, 13, 16 and 19, so their weights load. Departs from the paper:
weights are drawn as torchvision does (He), which spares training the deep nets from the shallow one.

Reference: Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision.nets.layers import local_response_norm

if TYPE_CHECKING:
    from torch import nn

POOL, NORM = "pool", "norm"
_END: list[int | str] = [512, 512, POOL, 512, 512, POOL]
# A negative number is a 1x1 convolution of that many filters.
COLUMNS: dict[str, list[int | str]] = {
    "A": [64, POOL, 128, POOL, 256, 256, POOL, *_END],
    "A-LRN": [64, NORM, POOL, 128, POOL, 256, 256, POOL, *_END],
    "B": [64, 64, POOL, 128, 128, POOL, 256, 256, POOL, *_END],
    "C": [64, 64, POOL, 128, 128, POOL, 256, 256, -256, POOL, 512, 512, -512, POOL, 512, 512, -512, POOL],
    "D": [64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512, 512, 512, POOL],
    "E": [64, 64, POOL, 128, 128, POOL, *[256] * 4, POOL, *[512] * 4, POOL, *[512] * 4, POOL],
}


def vgg(column: str, classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """The net of one column: (B, channels, 224, 224) in, (B, classes) logits out; 32 pixels are the least.

    Raises:
        ValueError: if there is no such column.
    """
    from torchvision.models.vgg import VGG

    if column not in COLUMNS:
        raise ValueError(f"column {column!r} is not one of {', '.join(COLUMNS)}")
    net: nn.Module = VGG(_features(COLUMNS[column], channels), num_classes=classes, dropout=dropout)
    return net


def _features(column: list[int | str], channels: int) -> nn.Sequential:
    from torch import nn

    layers: list[nn.Module] = []
    for entry in column:
        if entry == POOL:
            layers.append(nn.MaxPool2d(2, 2))
        elif isinstance(entry, str):
            layers.append(local_response_norm())
        else:
            side = 3 if entry > 0 else 1
            layers += [nn.Conv2d(channels, abs(entry), side, padding=side // 2), nn.ReLU(inplace=True)]
            channels = abs(entry)
    return nn.Sequential(*layers)


def vgg_a(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """11 layers with weights: torchvision's vgg11."""
    return vgg("A", classes, channels, dropout)


def vgg_a_lrn(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """A with local response normalisation behind the first convolution, which gained nothing."""
    return vgg("A-LRN", classes, channels, dropout)


def vgg_b(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """13 layers with weights: torchvision's vgg13."""
    return vgg("B", classes, channels, dropout)


def vgg_c(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """16 layers with weights, the last of three stages 1x1; torchvision has none."""
    return vgg("C", classes, channels, dropout)


def vgg_d(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """16 layers with weights: torchvision's vgg16."""
    return vgg("D", classes, channels, dropout)


def vgg_e(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """19 layers with weights: torchvision's vgg19."""
    return vgg("E", classes, channels, dropout)
