"""A net up to one of its layers, and a head of one's own behind it: what is left when a head was fitted to embeddings.

The head sees what `predict --embedding LAYER` keeps of the layer: vectors as they are, maps averaged over their places.

Reference: Donahue et al., "DeCAF: A deep convolutional activation feature", ICML 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def headed(
    net: str, layer: str, features: int, classes: int, width: int = 0, arguments: Mapping[str, Any] | None = None
) -> nn.Module:
    """(B, 3, H, W) in, (B, classes) logits out.

    Args:
        net: dotted name of the net that the body is cut from, and `arguments` it is built with.
        layer: the last layer of the body, as `named_modules` tells it.
        features: numbers of the layer's embedding.
        width: of a hidden layer of the head; 0 for none.

    Raises:
        ValueError: if there is no such layer, or the net's code branches on its pixels.
    """
    from vision import names
    from vision.heads import head
    from vision.nets.backbone import cut

    made: nn.Module = _headed_class()(cut(names.net(net, dict(arguments or {})), layer), head(features, classes, width))
    return made


@cache
def _headed_class() -> Any:
    from torch import nn

    class Headed(nn.Module):
        def __init__(self, body: nn.Module, head: nn.Module) -> None:
            super().__init__()
            self.body, self.head = body, head

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            seen = self.body(pictures)["map"]
            vectors = seen.mean(dim=(2, 3)) if seen.ndim == 4 else seen.flatten(1)
            logits: torch.Tensor = self.head(vectors)
            return logits

    return Headed
