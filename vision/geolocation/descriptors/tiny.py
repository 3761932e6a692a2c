"""The photo itself, so small that only its layout is left: 16 x 16 pixels, without its mean brightness and contrast.

Reference: Torralba, Fergus & Freeman, "80 million tiny images", IEEE PAMI 2008.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from vision.accumulator import Array

SIDE = 16


def tiny(pixels: Array, side: int = SIDE) -> Array:
    """(side * side * 3,) float64 of a photo (h, w, 3) uint8: mean 0 and length 1, or all 0 for one colour."""
    small = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX), np.float64).reshape(-1)
    centred = small - small.mean()
    length = np.linalg.norm(centred)
    found: Array = centred / length if length > 1e-9 else np.zeros_like(centred)
    return found


def grey(pixels: Array, side: int) -> Array:
    """(side, side) float64 in 0..1: a photo's brightness, squeezed into a square as gist and textons take it."""
    small = Image.fromarray(pixels).convert("L").resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float64) / 255
