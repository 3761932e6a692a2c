"""Voxels near a border of the ground truth left out: CREMI's tolerance of 25 nm, section by section.

Where exactly a membrane lies within 25 nm is a matter of taste, so CREMI sets truth to 0 there. A voxel is a border if
one of its four neighbours in the section has another id; the volume's own ends are none. Blocks give what the whole
would: with a halo of `border_halo`.

Reference: the CREMI challenge's evaluation code, 2016.
"""

from __future__ import annotations

import math

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import Zyx

CREMI_NM = 25.0


def border_halo(voxel_nm: tuple[float, float, float], border_nm: float = CREMI_NM) -> Zyx:
    """How far a block must read beyond what it scores."""
    _, y, x = (math.ceil(border_nm / size) + 1 for size in voxel_nm)
    return 0, y, x


def without_borders(truth: Array, voxel_nm: tuple[float, float, float], border_nm: float = CREMI_NM) -> Array:
    """A copy of the truth (Z, Y, X) that is 0 within `border_nm` in the section of a border.

    Raises:
        ValueError: if the truth is no volume, or a size is not positive.
    """
    if truth.ndim != 3 or min(voxel_nm) <= 0 or border_nm < 0:
        raise ValueError(f"borders need a (z, y, x) volume and positive nm, got {truth.shape}, {voxel_nm}, {border_nm}")
    from scipy.ndimage import distance_transform_edt

    kept = truth.copy()
    for section, out in zip(truth, kept, strict=True):
        inner = _inner(section)
        if not inner.all():
            out[distance_transform_edt(inner, sampling=voxel_nm[1:]) <= border_nm] = 0
    return kept


def _inner(section: Array) -> Array:
    """(Y, X) booleans: all four neighbours that exist have the same id."""
    inner = np.ones(section.shape, bool)
    along_y, along_x = section[1:] == section[:-1], section[:, 1:] == section[:, :-1]
    inner[1:] &= along_y
    inner[:-1] &= along_y
    inner[:, 1:] &= along_x
    inner[:, :-1] &= along_x
    return inner
