"""What a picture looks like, whatever is on it: how bright, how contrasty, how sharp.

Taken of a copy whose longer side is `SIDE`, so that a photo and its thumbnail are alike: a sharpness that grows with
the number of pixels would tell cameras apart and not blur.

Reference: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000, for the variance of the
Laplacian as a measure of focus.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 256
"""Pixels of the longer side."""


class Appearance(NamedTuple):
    """Mean and standard deviation of the luma, 0..1, and the variance of its Laplacian: small where all is blurred."""

    brightness: float
    contrast: float
    sharpness: float


def appearance(image: Image.Image) -> Appearance:
    """Of a picture in mode RGB or L. A picture smaller than `SIDE` is taken as it is.

    0.7 ms of a core for a picture of 500x375.
    """
    luma = image if image.mode == "L" else image.convert("L")
    scale = SIDE / max(luma.size)
    if scale < 1:
        size = (max(1, round(luma.width * scale)), max(1, round(luma.height * scale)))
        luma = luma.resize(size, Image.Resampling.BOX)
    grey = np.asarray(luma, np.float64) / 255
    middle = grey[1:-1, 1:-1]
    edges = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    return Appearance(float(grey.mean()), float(grey.std()), float(edges.var()) if edges.size else 0.0)
