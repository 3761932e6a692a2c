"""Pieces that several nets are made of: branches that meet, shortcuts, local response normalisation, Inception.

Classes that need torch are made when first asked for, so that importing a net loads nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

JOINS = ("add", "concatenate")


def branches(join: str, **parts: nn.Module) -> nn.Module:
    """Modules that see the same input, their outputs added or laid one behind the other as channels.

    Args:
        join: "add" (all outputs of one shape) or "concatenate" ((B, C_i, H, W) to (B, sum of C_i, H, W)).
        parts: at least one module, by name, in order.

    Raises:
        ValueError: if `join` is neither, or there is no part.
    """
    if join not in JOINS or not parts:
        raise ValueError(f"branches take {' or '.join(JOINS)} and at least one part, got {join!r}, {len(parts)} parts")
    return _branches_class()(join, parts)  # type: ignore[no-any-return]


@cache
def _branches_class() -> Any:
    import torch
    from torch import nn

    class Branches(nn.Module):
        def __init__(self, join: str, parts: dict[str, nn.Module]) -> None:
            super().__init__()
            self.join = join
            for name, part in parts.items():
                self.add_module(name, part)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            outputs = [part(x) for part in self.children()]
            return torch.cat(outputs, 1) if self.join == "concatenate" else sum(outputs[1:], outputs[0])

    return Branches


def residual_unit(body: nn.Module, shortcut: nn.Module | None = None) -> nn.Module:
    """H(x) = relu(F(x) + s(x)): `body` is F, `shortcut` is s (the identity unless given).

    Reference: He et al., "Deep residual learning for image recognition", CVPR 2016, equations 1 and 2.
    """
    from torch import nn

    joined = branches("add", body=body, shortcut=shortcut or nn.Identity())
    return nn.Sequential(joined, nn.ReLU(inplace=True))


def padded_shortcut(channels: int, stride: int) -> nn.Module:
    """Option A: every `stride`-th pixel, and `channels` more channels of zeros; no parameters.

    (B, C, H, W) in, (B, C + channels, ceil(H / stride), ceil(W / stride)) out.

    Reference: He et al., "Deep residual learning for image recognition", CVPR 2016, section 3.3.
    """
    return _padded_class()(channels, stride)  # type: ignore[no-any-return]


@cache
def _padded_class() -> Any:
    from torch import nn

    class PaddedShortcut(nn.Module):
        def __init__(self, channels: int, stride: int) -> None:
            super().__init__()
            self.channels, self.stride = channels, stride

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.channels))

    return PaddedShortcut


def local_response_norm(size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> nn.Module:
    """b = a / (k + alpha * sum of a^2 over `size` neighbouring channels)^beta, with the paper's constants.

    torch divides alpha by `size`; the paper does not, so `size` is multiplied in here.

    Reference: Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep CNNs", NIPS 2012, section 3.3.
    """
    from torch import nn

    return nn.LocalResponseNorm(size, alpha * size, beta, k)


def inception_naive(channels: int, ones: int, threes: int, fives: int) -> nn.Module:
    """1x1, 3x3 and 5x5 convolutions and 3x3 max pooling side by side, all on the full input.

    (B, channels, H, W) in, (B, ones + threes + fives + channels, H, W) out: pooling keeps all of its channels, so
    that each module is wider than the one before.

    Reference: Szegedy et al., "Going deeper with convolutions", CVPR 2015, figure 2a.
    """
    from torch import nn

    return branches(
        "concatenate",
        ones=_conv_relu(channels, ones, 1),
        threes=_conv_relu(channels, threes, 3),
        fives=_conv_relu(channels, fives, 5),
        pooled=nn.MaxPool2d(3, 1, 1),
    )


def inception_reduced(
    channels: int, ones: int, threes_in: int, threes: int, fives_in: int, fives: int, pooled: int
) -> nn.Module:
    """The same with 1x1 convolutions that narrow what the 3x3 (`threes_in`) and 5x5 (`fives_in`) see, and the pooled.

    (B, channels, H, W) in, (B, ones + threes + fives + pooled, H, W) out.

    Reference: Szegedy et al., "Going deeper with convolutions", CVPR 2015, figure 2b and table 1.
    """
    from torch import nn

    return branches(
        "concatenate",
        ones=_conv_relu(channels, ones, 1),
        threes=nn.Sequential(_conv_relu(channels, threes_in, 1), _conv_relu(threes_in, threes, 3)),
        fives=nn.Sequential(_conv_relu(channels, fives_in, 1), _conv_relu(fives_in, fives, 5)),
        pooled=nn.Sequential(nn.MaxPool2d(3, 1, 1), _conv_relu(channels, pooled, 1)),
    )


def _conv_relu(channels: int, filters: int, side: int) -> nn.Module:
    from torch import nn

    return nn.Sequential(nn.Conv2d(channels, filters, side, padding=side // 2), nn.ReLU(inplace=True))


def draw(net: nn.Module, weight: Callable[[torch.Tensor], object], ones: Iterable[nn.Module] = ()) -> nn.Module:
    """Draw the weights of every convolution and full layer with `weight`; biases 0, but 1 in the layers of `ones`."""
    from torch import nn

    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in ones:
        nn.init.ones_(module.bias)  # type: ignore[arg-type]
    return net


def gaussian(tensor: torch.Tensor) -> None:
    """Mean 0, standard deviation 0.01: how the nets of 2012 to 2014 began."""
    from torch import nn

    nn.init.normal_(tensor, 0.0, 0.01)


def he(tensor: torch.Tensor) -> None:
    """Normal with variance 2 / fan-out, in full layers 2 / fan-in: ten classes would give weights near 0.5.

    Reference: He et al., "Delving deep into rectifiers", ICCV 2015, which derives both.
    """
    from torch import nn

    nn.init.kaiming_normal_(tensor, mode="fan_in" if tensor.ndim == 2 else "fan_out", nonlinearity="relu")
