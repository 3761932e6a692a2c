"""AlexNet: torchvision's single column (61,100,840 parameters), and the net of 2012 itself (60,965,224).

Two columns that meet in the third convolution and the full layers are convolutions of two groups. The 2012 net has
650,080 units in its convolutions: the paper's "650,000 neurons". The first full layer sees 6 x 6 x 256 = 9,216
responses, and 9,216 x 4,096 = 37,748,736 weights lie there.

Reference: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", 2012;
Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (the single column).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vision.nets.layers import draw, gaussian, local_response_norm

if TYPE_CHECKING:
    from torch import nn


def alexnet(classes: int = 1000, dropout: float = 0.5) -> nn.Module:
    """torchvision's AlexNet: (B, 3, 224, 224) in, (B, classes) logits out; any picture of 63 pixels and more works."""
    import torchvision

    net: nn.Module = torchvision.models.alexnet(num_classes=classes, dropout=dropout)
    return net


def alexnet_2012(classes: int = 1000, channels: int = 3, dropout: float = 0.5) -> nn.Module:
    """The net that won ILSVRC 2012: (B, channels, 227, 227) or 224 in, (B, classes) logits out.

    Two pixels of padding make the paper's 55 x 55 from 224; 227 gives the same size. Weights are drawn from
    N(0, 0.01^2), biases are 1 in the second, fourth and fifth convolution and the hidden full layers, else 0.
    """
    from torch import nn

    second = nn.Conv2d(96, 256, 5, padding=2, groups=2)
    fourth = nn.Conv2d(384, 384, 3, padding=1, groups=2)
    fifth = nn.Conv2d(384, 256, 3, padding=1, groups=2)
    layers: list[nn.Module] = [
        *rectified(nn.Conv2d(channels, 96, 11, stride=4, padding=2)),  # (B, 96, 55, 55)
        local_response_norm(),
        nn.MaxPool2d(3, 2),
        *rectified(second),  # (B, 256, 27, 27)
        local_response_norm(),
        nn.MaxPool2d(3, 2),
        *rectified(nn.Conv2d(256, 384, 3, padding=1)),  # (B, 384, 13, 13)
        *rectified(fourth),
        *rectified(fifth),
        nn.MaxPool2d(3, 2),  # (B, 256, 6, 6)
    ]
    sixth, seventh = nn.Linear(256 * 6 * 6, 4096), nn.Linear(4096, 4096)
    net = nn.Sequential(*layers, *full_layers(sixth, seventh, classes, dropout))
    return draw(net, gaussian, ones=(second, fourth, fifth, sixth, seventh))


def full_layers(sixth: nn.Linear, seventh: nn.Linear, classes: int, dropout: float) -> list[nn.Module]:
    """Two hidden full layers, each followed by dropout, and the classifier."""
    from torch import nn

    hidden = [*rectified(sixth), nn.Dropout(dropout), *rectified(seventh), nn.Dropout(dropout)]
    return [nn.Flatten(), *hidden, nn.Linear(seventh.out_features, classes)]


def rectified(layer: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A layer and the ReLU behind it."""
    from torch import nn

    return layer, nn.ReLU(inplace=True)
