"""Connected components of a volume, block by block, equal to those of the whole up to renaming.

Each block is labelled alone; facing planes of neighbours say which labels are one; union-find and a lookup table
finish it. Faces suffice for 6-connectivity only, so that is what is offered. Two voxels connect if they have the same
value and are not background: a mask is the case of one value.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import Grid
from vision.connectomics.grouped import by_pair
from vision.connectomics.installed import library

Backend = Literal["skimage", "bioimage-cpp"]


def components(values: Array, backend: Backend = "skimage") -> Array:
    """6-connected components of equal value; 0 is background.

    Every library numbers them 1, 2, ... by their first voxel in (z, y, x) order, so the backend does not show. Masks
    are labelled by SciPy; the backend is for volumes of several values.

    Args:
        values: (Z, Y, X) booleans or unsigned integers.

    Returns:
        (Z, Y, X) uint32.
    """
    if values.ndim != 3:
        raise ValueError(f"a volume to label must be (z, y, x), got shape {values.shape}")
    if values.dtype == bool:
        from scipy.ndimage import label

        return np.asarray(label(values, output=np.uint32)[0])
    if backend == "skimage":
        signed = values.astype(np.int64)
        return np.asarray(library("skimage.measure").label(signed, background=0, connectivity=1), np.uint32)
    return np.asarray(library("bioimage_cpp").segmentation.label(values, connectivity=1), np.uint32)


def label_block(values: Array, grid: Grid, number: int, backend: Backend = "skimage") -> Array:
    """Components of one block's write box, as uint64 ids of the volume."""
    return grid.ids(number, components(values, backend))


def facing(lower: Array, upper: Array, lower_values: Array | None = None, upper_values: Array | None = None) -> Array:
    """Which ids of two facing planes are one.

    Args:
        lower, upper: ids (..., any equal shape) of the two planes of a face.
        lower_values, upper_values: what was labelled there; without them any two ids that touch are one (a mask).

    Returns:
        (M, 2) uint64, lower id first, each pair once, sorted.
    """
    touch = (lower != 0) & (upper != 0)
    if lower_values is not None and upper_values is not None:
        touch &= lower_values == upper_values
    groups = by_pair(lower[touch], upper[touch])
    return np.stack([groups.first, groups.second], axis=1).astype(np.uint64)
