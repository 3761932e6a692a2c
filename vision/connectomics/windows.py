"""The highest value in a window round each voxel: a few shifted maxima an axis, in pieces that stay in the cache.

A window of w voxels is two overlapping windows of a power of two, and those double: 4 maxima for w = 10. A filter that
walks each line needs fewer for wide windows (van Herk, Pattern Recognition Letters 1992), but one value at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vision.accumulator import Array

_PIECE = 1 << 16
"""Values worked on at once."""


def highest(values: Array, size: Sequence[int]) -> Array:
    """The maximum over a box of `size` round each voxel, clipped at the ends.

    Along an axis the window of w is i - w // 2 .. i + (w - 1) // 2: that of `scipy.ndimage.maximum_filter`, whose
    mirrored ends add no value that the clipped window has not.

    Args:
        values: (Z, Y, X).
        size: of the window along each axis, from 1.

    Returns:
        As `values`, another array.

    Raises:
        ValueError: if there are not three axes, or a window is not positive.
    """
    if values.ndim != 3 or len(size) != 3 or min(size) < 1:
        raise ValueError(f"a window must have three sides from 1 for (z, y, x), got {tuple(size)} for {values.shape}")
    found = np.empty_like(values, order="C")
    planes = max(1, _PIECE // max(1, values[:1].size))
    for z in range(0, len(values), planes):
        piece = found[z : z + planes]
        piece[...] = _along(_along(values[z : z + planes], 2, size[2]), 1, size[1])
    rows = max(1, _PIECE // max(1, values[:, :1].size))
    for y in range(0, values.shape[1], rows):
        piece = found[:, y : y + rows]
        piece[...] = _along(piece, 0, size[0])
    return found


def _along(values: Array, axis: int, width: int) -> Array:
    """The maximum over a window along one axis."""
    below, above, count = width // 2, (width - 1) // 2, values.shape[axis]
    if width == 1 or count < 2:
        return values
    padded = np.pad(values, [(below, above) if i == axis else (0, 0) for i in range(3)], mode="edge")
    moved = np.moveaxis(padded, axis, 0)
    span = 1
    while 2 * span <= width:  # moved[i] is the highest of `span` values from i on
        moved = np.maximum(moved[:-span], moved[span:])
        span *= 2
    rest = width - span
    return np.moveaxis(moved if not rest else np.maximum(moved[:-rest], moved[rest:]), 0, axis)
