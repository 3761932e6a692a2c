"""SIFT on a grid: gradients of 16 x 16 pixels in 4 x 4 cells and 8 directions, at two scales.

Each gradient is shared between the two nearest directions and, by a triangle, between the nearest cells; cells further
from the middle count less. Unlike at interest points there is no turning: a photo has an up.

References: Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; Lazebnik, Schmid & Ponce,
"Beyond bags of features", CVPR 2006 (on a grid); Sivic & Zisserman, "Video Google", ICCV 2003 (as words).
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.geolocation.descriptors.tiny import grey

SIDE = 128
CELLS, DIRECTIONS, STEP = 4, 8, 8
_CELL = 4
_FLAT = 0.02
"""Patches with less gradient than that show nothing, and are left out."""


def dense(pixels: Array) -> Array:
    """(M, 128) float32 of a photo (h, w, 3) uint8; M depends on how much of it shows anything, and may be 0."""
    parts = [patches(grey(pixels, SIDE // shrink)) for shrink in (1, 2)]
    return np.concatenate(parts)


def patches(picture: Array) -> Array:
    """(M, 128) float32 descriptors of a picture (h, w) in 0..1, each of length 1."""
    from scipy.ndimage import correlate1d

    maps = _directions(picture)  # (8, h, w)
    # Of even length: what it gives for pixel i is about the corner between pixels i - 1 and i, as cells' middles are.
    tent = 1 - np.abs(np.arange(2 * _CELL) - _CELL + 0.5) / _CELL
    pooled = correlate1d(correlate1d(maps, tent, axis=1, mode="constant"), tent, axis=2, mode="constant")
    offsets = (2 * np.arange(CELLS) - CELLS + 1) * _CELL // 2  # of cells' middles from a patch's
    reach = CELLS * _CELL // 2
    rows, columns = (np.arange(reach, size - reach + 1, STEP)[:, None] + offsets for size in picture.shape)
    seen = pooled[:, rows[:, None, :, None], columns[None, :, None, :]]  # (8, R, C, 4, 4)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * reach**2))
    found = np.moveaxis(seen * weights, 0, -1).reshape(-1, CELLS * CELLS * DIRECTIONS)
    return _normalised(found)


def _directions(picture: Array) -> Array:
    """(8, h, w): the gradient's size at each pixel, shared between the two nearest directions."""
    down, across = np.gradient(picture)
    size = np.hypot(down, across)
    turn = np.mod(np.arctan2(down, across), 2 * np.pi) / (2 * np.pi) * DIRECTIONS
    low = np.floor(turn)
    part = turn - low
    found = np.zeros((DIRECTIONS, *picture.shape))
    for number in range(DIRECTIONS):
        found[number] += size * (1 - part) * (low % DIRECTIONS == number)
        found[number] += size * part * ((low + 1) % DIRECTIONS == number)
    return found


def _normalised(found: Array) -> Array:
    """Length 1, no number above 0.2, length 1 again; flat patches are left out."""
    length = np.linalg.norm(found, axis=1, keepdims=True)
    found = found[length[:, 0] > _FLAT * CELLS] / length[length[:, 0] > _FLAT * CELLS]
    cut = np.minimum(found, 0.2)
    final: Array = cut / np.maximum(np.linalg.norm(cut, axis=1, keepdims=True), 1e-12)
    return final.astype(np.float32)
