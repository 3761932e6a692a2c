"""GoogLeNet with its two auxiliary heads: 13,004,888 parameters, 6,624,904 without the heads.

torchvision's net departs from the paper: batch normalisation, no response normalisation, and 3x3 filters where the
paper has 5x5 in its modules. `vision.nets.layers` has the paper's modules, naive and reduced.

Reference: Szegedy et al., "Going deeper with convolutions", CVPR 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def googlenet(classes: int = 1000, auxiliary: bool = True) -> nn.Module:
    """The net: (B, 3, 224, 224) in, (B, classes) logits out.

    In training with `auxiliary` it gives (logits, second auxiliary, first auxiliary), each (B, classes); the paper
    adds the losses of the auxiliary heads with weight 0.3. In evaluation they do not run.
    """
    import torchvision

    net: nn.Module = torchvision.models.googlenet(num_classes=classes, aux_logits=auxiliary, init_weights=True)
    return net
