"""im2gps's descriptors as a net, so that `predict --embedding descriptor` makes a table of them like any other.

    safelight run predict --corpus photos --model geolocation.described:descriptors --embedding descriptor --output D

The net has nothing to learn and no classes: the labels beside its embeddings mean nothing. Its answers come from numpy,
one picture after the other, on a CPU; the descriptors are those of the picture that the preprocessing leaves.

Reference: Hays & Efros, "IM2GPS: estimating geographic information from a single image", CVPR 2008.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import nn

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def descriptors(
    names: str = "tiny,colour,gist,lines",
    mean: tuple[float, float, float] = _MEAN,
    std: tuple[float, float, float] = _STD,
) -> nn.Module:
    """(B, 3, H, W) normalised pictures in, (B, D) descriptors out, which the layer `descriptor` gives too.

    Args:
        names: descriptors that need no dictionary, with commas.
        mean, std: what the preprocessing normalises by, which is undone here; ImageNet's, as a dotted name has it.

    Raises:
        ValueError: if there is no such descriptor.
    """
    from vision.geolocation.descriptors import Describer

    describe = Describer(dict.fromkeys((name.strip() for name in names.split(",")), 1.0))
    net: nn.Module = _described_class()(describe, mean, std)
    return net


@cache
def _described_class() -> Any:
    import torch
    from torch import nn

    class Described(nn.Module):
        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self, describe: Any, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
            super().__init__()
            self.describe = describe
            self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))
            self.descriptor = nn.Identity()

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            pixels = ((pictures.float() * self.std + self.mean) * 255).round().clamp(0, 255).to(torch.uint8)
            shown = pixels.permute(0, 2, 3, 1).cpu().numpy()
            found = np.stack([self.describe(np.ascontiguousarray(one)) for one in shown])
            vectors: torch.Tensor = self.descriptor(torch.from_numpy(found).to(pictures))
            return vectors

    return Described
