"""Static shapes: a batch is filled up, so a picture meets the same arithmetic whoever its neighbours."""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array


def padded(pixels: Array, batch: int) -> Array:
    """Fill a batch up with black pictures: (N, h, w, 3) to (batch, h, w, 3).

    Raises:
        ValueError: if N is more than `batch`.
    """
    if len(pixels) > batch:
        raise ValueError(f"a batch holds at most {batch} pictures, got {len(pixels)}")
    missing = batch - len(pixels)
    return np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels
