"""The nets of the benchmark as model folders: torchvision's, with weights drawn with seed 0 and made to behave.

Drawn weights alone would not do: every picture gets nearly the same logits, the best two a hair apart, and a kernel
that answers close calls again would be measured at its worst (or one whose activations vanish at its best). So each
norm takes its statistics from photographs, and the last layer is scaled until one photograph in ten is a close call
(less than half a logit between the best two classes), about as for trained nets on ImageNet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vision.model import Model, save
from vision.names import net as build
from vision.preprocessing import Preprocessing

CLOSE_CALL, SHARE = 0.5, 0.1


def model_folder(folder: Path, name: str, photographs: list[Path]) -> str:
    """The folder of a torchvision net, made if it is not there.

    Args:
        folder: of all models.
        name: such as `mobilenet_v3_large`.
        photographs: JPEGs for the statistics; the first 64 are used.
    """
    place = folder / name
    if not (place / "model.json").exists():
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(1)
        look = Preprocessing()
        net = build(f"torchvision.models:{name}", {})
        pictures = np.stack([look.load(path.read_bytes()) for path in photographs[:64]])
        settle(net, torch.from_numpy(look.normalise(pictures)))
        save(Model(f"torchvision.models:{name}", look, weights=""), place, net=net)
    return str(place)


def settle(net: Any, inputs: Any) -> None:
    """Norms from the inputs, (B, 3, h, w); then a last layer whose close calls are as common as a trained net's."""
    import torch

    norms = [layer for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all that it sees
    for layer in net.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    with torch.inference_mode():
        net.train()(inputs)
        logits = net.eval()(inputs)
        best = logits.topk(2).values
        gap = float(torch.quantile(best[:, 0] - best[:, 1], SHARE))
        last = [layer for layer in net.modules() if isinstance(layer, torch.nn.Linear)][-1]
        last.weight.mul_(CLOSE_CALL / gap)
        last.bias.mul_(CLOSE_CALL / gap)
