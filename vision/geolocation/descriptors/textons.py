"""What a texture answers to edges and bars of 8 directions and 2 scales, pixel by pixel: what textons are learnt from.

Bars and edges are second and first derivatives of Gaussians three times as long as wide, two rings (Laplacians) see
blobs; all have the same absolute sum. Responses are scaled by contrast as Weber's law has it.

References: Leung & Malik, "Representing and recognizing the visual appearance of materials using three-dimensional
textons", IJCV 2001; Martin, Fowlkes & Malik, "Learning to detect natural image boundaries", IEEE PAMI 2004.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from vision.accumulator import Array
from vision.geolocation.descriptors.tiny import grey

SIDE = 128
DIRECTIONS, SCALES = 8, (1.0, 2.0)
_STEP = 2
"""Every second row and column: neighbours say the same."""


def responses(pixels: Array) -> Array:
    """(4096, 34) float32 of a photo (h, w, 3) uint8: bars, edges and rings, at each scale."""
    picture = np.fft.fft2(np.pad(grey(pixels, SIDE), _reach(), mode="symmetric"))
    found = np.fft.ifft2(picture[None] * _transforms(picture.shape[0])).real
    inner = found[:, _reach() : -_reach() : _STEP, _reach() : -_reach() : _STEP].reshape(len(found), -1).T
    length = np.linalg.norm(inner, axis=1, keepdims=True)
    scaled: Array = (inner * np.log1p(length / 0.03) / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled


def _reach() -> int:
    return int(np.ceil(9 * max(SCALES)))


@cache
def _transforms(side: int) -> Array:
    """(34, side, side): the filters as transforms, with their centres at the corner."""
    reach = _reach()
    found = []
    for kernel in filters():
        field = np.zeros((side, side))
        field[: 2 * reach + 1, : 2 * reach + 1] = kernel
        found.append(np.fft.fft2(np.roll(field, (-reach, -reach), (0, 1))))
    return np.stack(found)


@cache
def filters() -> Array:
    """(34, 37, 37) float64, each with mean 0 and absolute sum 1."""
    y, x = np.mgrid[-_reach() : _reach() + 1, -_reach() : _reach() + 1].astype(np.float64)
    found = []
    for sigma in SCALES:
        for direction in range(DIRECTIONS):
            turn = np.pi * direction / DIRECTIONS
            u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
            bell = np.exp(-(u**2) / (2 * (3 * sigma) ** 2) - v**2 / (2 * sigma**2))
            found += [bell * (v**2 / sigma**2 - 1), bell * v]
        squared = (x**2 + y**2) / sigma**2
        found.append((squared - 2) * np.exp(-squared / 2))
    centred = np.stack([one - one.mean() for one in found])
    scaled: Array = centred / np.abs(centred).sum(axis=(1, 2), keepdims=True)
    return scaled
