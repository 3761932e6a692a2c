"""U-Net: maps at several scales on the way down, joined again on the way up, an answer for every pixel or voxel.

`unet` is the small one that trains on a CPU: norms, padding (so that the output is as large as the input), two or three
dimensions, plain or residual units. `unet_2015` is the paper's: 64 to 1024 maps and no padding, 572 pixels in and 388
out, 31,030,658 parameters.

Departs from Lee et al.: two convolutions a unit and not three, kernels of one size, batch norms, nearest upsampling.

References: Ronneberger, Fischer & Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI
2015; Çiçek et al., "3D U-Net", MICCAI 2016; Lee, Zung, Li, Jain & Seung, "Superhuman accuracy on the SNEMI3D
connectomics challenge", 2017 (residual units, maps of the two ways added, pooling within the section).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from vision.nets.layers import residual_unit

if TYPE_CHECKING:
    import torch
    from torch import nn

JOINS = ("concatenate", "add")
PAPER = (64, 128, 256, 512, 1024)


def unet(
    classes: int = 1,
    channels: int = 1,
    width: int = 16,
    depth: int = 3,
    dimensions: int = 2,
    residual: bool = True,
    join: str = "add",
    flat: int = 0,
) -> nn.Module:
    """A U-Net whose output is as large as its input.

    Args:
        classes: outputs for each voxel, logits.
        width: maps at full resolution; they double with each halving.
        depth: how often sides are halved; sides of the input must be multiples of 2 ** depth.
        dimensions: 2 takes (B, channels, Y, X), 3 takes (B, channels, Z, Y, X).
        residual: units with a shortcut, or two plain convolutions.
        join: how maps of the way down meet those of the way up.
        flat: in three dimensions, how many of the halvings, the first ones, leave z as it is, with kernels within the
            section there: for sections of 30 nm and more.

    Raises:
        ValueError: if an argument makes no sense.
    """
    if dimensions not in (2, 3) or join not in JOINS:
        raise ValueError(f"a U-Net has 2 or 3 dimensions and joins by {' or '.join(JOINS)}, got {dimensions}, {join!r}")
    if min(width, depth, classes, channels) < 1 or not 0 <= flat <= depth or (flat and dimensions == 2):
        raise ValueError(
            f"a U-Net needs width, depth, classes and channels from 1 up, and 0 to {depth} flat halvings in three"
            f" dimensions; got width {width}, depth {depth}, classes {classes}, channels {channels}, flat {flat}"
        )
    net: nn.Module = _unet_class()(_Plan(dimensions, residual, flat), classes, channels, width, depth, join)
    return net


def unet2d(classes: int = 1, width: int = 16, depth: int = 3, residual: bool = True) -> nn.Module:
    """`unet` for sections: (B, 1, Y, X) in; 412,817 parameters."""
    return unet(classes, 1, width, depth, 2, residual)


def unet3d(classes: int = 3, width: int = 16, depth: int = 2, residual: bool = True, flat: int = 0) -> nn.Module:
    """`unet` for volumes: (B, 1, Z, Y, X) in, by default affinities to three neighbours out."""
    return unet(classes, 1, width, depth, 3, residual, flat=flat)


class _Plan:
    """What the layers of each scale are, in two or three dimensions."""

    def __init__(self, dimensions: int, residual: bool, flat: int) -> None:
        self.dimensions, self.residual, self.flat = dimensions, residual, flat

    def sides(self, level: int, side: int) -> int | tuple[int, int, int]:
        """A kernel's or a pooling's sides at a scale, 0 being the finest."""
        return (1, side, side) if self.dimensions == 3 and level < self.flat else side

    def unit(self, level: int, before: int, filters: int) -> nn.Module:
        """Two convolutions with norms."""
        from torch import nn

        body = nn.Sequential(
            *self._normalised(level, before, filters), nn.ReLU(inplace=True), *self._normalised(level, filters, filters)
        )
        if not self.residual:
            return body.append(nn.ReLU(inplace=True))
        return residual_unit(body, None if before == filters else self.convolution(before, filters, 1))

    def convolution(self, before: int, filters: int, side: int | tuple[int, int, int], bias: bool = True) -> nn.Module:
        from torch import nn

        layer = nn.Conv3d if self.dimensions == 3 else nn.Conv2d
        return layer(before, filters, side, padding="same", bias=bias)  # type: ignore[arg-type]

    def pooling(self, level: int) -> nn.Module:
        from torch import nn

        return (nn.MaxPool3d if self.dimensions == 3 else nn.MaxPool2d)(self.sides(level, 2))

    def upsampling(self, level: int) -> nn.Module:
        from torch import nn

        factors: Any = self.sides(level, 2)
        return nn.Upsample(scale_factor=factors, mode="nearest")

    def _normalised(self, level: int, before: int, filters: int) -> tuple[nn.Module, nn.Module]:
        from torch import nn

        norm = (nn.BatchNorm3d if self.dimensions == 3 else nn.BatchNorm2d)(filters)
        return self.convolution(before, filters, self.sides(level, 3), bias=False), norm


@cache
def _unet_class() -> Any:
    import torch
    from torch import nn

    class UNet(nn.Module):
        def __init__(self, plan: _Plan, classes: int, channels: int, width: int, depth: int, join: str) -> None:
            super().__init__()
            widths = [width * 2**level for level in range(depth + 1)]
            self.join = join
            self.down = nn.ModuleList(
                plan.unit(level, before, filters)
                for level, (before, filters) in enumerate(zip([channels, *widths], widths, strict=False))
            )
            self.pools = nn.ModuleList(plan.pooling(level) for level in range(depth))
            self.grow = nn.ModuleList(
                nn.Sequential(plan.upsampling(level), plan.convolution(widths[level + 1], widths[level], 1))
                for level in range(depth)
            )
            both = 2 if join == "concatenate" else 1
            self.up = nn.ModuleList(plan.unit(level, both * widths[level], widths[level]) for level in range(depth))
            self.head = plan.convolution(width, classes, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept = [self.down[0](x)]
            for pool, unit in zip(self.pools, self.down[1:], strict=True):
                kept.append(unit(pool(kept[-1])))
            found = kept.pop()
            for level in reversed(range(len(kept))):
                grown = self.grow[level](found)
                joined = torch.cat([kept[level], grown], 1) if self.join == "concatenate" else kept[level] + grown
                found = self.up[level](joined)
            logits: torch.Tensor = self.head(found)
            return logits

    return UNet


def unet_2015(classes: int = 2, channels: int = 1) -> nn.Module:
    """The paper's net: (B, channels, 572, 572) in, (B, classes, 388, 388) logits out; 31,030,658 parameters.

    Sides that work are 188 + 16 n; the output is 184 smaller.
    """
    net: nn.Module = _paper_class()(classes, channels)
    return net


@cache
def _paper_class() -> Any:
    import torch
    from torch import nn

    def unit(before: int, filters: int) -> nn.Sequential:
        first, second = nn.Conv2d(before, filters, 3), nn.Conv2d(filters, filters, 3)
        return nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))

    class Paper(nn.Module):
        def __init__(self, classes: int, channels: int) -> None:
            super().__init__()
            pairs = list(zip([channels, *PAPER], PAPER, strict=False))
            self.down = nn.ModuleList(unit(before, filters) for before, filters in pairs)
            self.pool = nn.MaxPool2d(2)
            self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * filters, filters, 2, 2) for filters in PAPER[:-1])
            self.up = nn.ModuleList(unit(2 * filters, filters) for filters in PAPER[:-1])
            self.head = nn.Conv2d(PAPER[0], classes, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept = [self.down[0](x)]
            for part in self.down[1:]:
                kept.append(part(self.pool(kept[-1])))
            found = kept.pop()
            for level in reversed(range(len(kept))):
                grown = self.grow[level](found)
                lost = [(full - own) // 2 for full, own in zip(kept[level].shape[2:], grown.shape[2:], strict=True)]
                cut = kept[level][..., lost[0] : lost[0] + grown.shape[2], lost[1] : lost[1] + grown.shape[3]]
                found = self.up[level](torch.cat([cut, grown], 1))
            logits: torch.Tensor = self.head(found)
            return logits

    return Paper
