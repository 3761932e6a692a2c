"""The gist of a scene: how strongly 6 directions at 4 scales respond in each of 5 x 5 places.

The photo is squeezed to 128 x 128 and evened out (local mean and contrast are taken off), so that shadows say little;
filters are log-Gabor in the frequency domain, one octave apart.

References: Oliva & Torralba, "Modeling the shape of the scene: a holistic representation of the spatial envelope", IJCV
2001; Hays & Efros, "IM2GPS", CVPR 2008 (5 x 5 places, 6 directions, 4 scales); Field, "Relations between the statistics
of natural images and the response properties of cortical cells", JOSA A 1987 (log-Gabor).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from vision.accumulator import Array
from vision.geolocation.descriptors.tiny import grey

SIDE, PAD = 128, 32
SCALES, DIRECTIONS, PLACES = 4, 6, 5
_EVEN_CYCLES = 4.0
"""Cycles a picture below which brightness is lighting and not the scene."""


def gist(pixels: Array) -> Array:
    """(600,) float64, from 0 up, of a photo (h, w, 3) uint8; by scale, direction, row and column."""
    even = _evened(np.pad(grey(pixels, SIDE), PAD, mode="symmetric"))
    responses = np.abs(np.fft.ifft2(np.fft.fft2(even)[None] * _filters()))
    inner = responses[:, PAD:-PAD, PAD:-PAD]  # (24, 128, 128)
    edges = np.linspace(0, SIDE, PLACES + 1).round().astype(np.int64)
    rows = np.add.reduceat(inner, edges[:-1], axis=1)
    sums = np.add.reduceat(rows, edges[:-1], axis=2)
    widths = np.diff(edges)
    found: Array = (sums / np.outer(widths, widths)).reshape(-1)
    return found


def _evened(picture: Array) -> Array:
    """Brightness less its blurred self, divided by its local contrast."""
    low = _low_pass(picture.shape[0])
    detail = np.log1p(picture) - _blurred(np.log1p(picture), low)
    contrast = np.sqrt(np.maximum(_blurred(detail**2, low), 0))
    found: Array = detail / (0.2 + contrast)
    return found


def _blurred(picture: Array, low: Array) -> Array:
    found: Array = np.fft.ifft2(np.fft.fft2(picture) * low).real
    return found


@cache
def _low_pass(side: int) -> Array:
    radius, _ = _frequencies(side)
    cut = _EVEN_CYCLES / SIDE / np.sqrt(np.log(2))
    found: Array = np.exp(-((radius / cut) ** 2))
    return found


@cache
def _filters() -> Array:
    """(24, S, S) in the frequency domain, each one-sided: the size of its response does not depend on phase."""
    radius, angle = _frequencies(SIDE + 2 * PAD)
    found = []
    for scale in range(SCALES):
        centre = 0.3 / 2**scale
        along = np.exp(-(np.log(np.maximum(radius, 1e-9) / centre) ** 2) / (2 * np.log(0.65) ** 2))
        for direction in range(DIRECTIONS):
            turn = angle - np.pi * direction / DIRECTIONS
            off = np.arctan2(np.sin(turn), np.cos(turn))
            found.append(along * np.exp(-(off**2) / (2 * (np.pi / DIRECTIONS / 1.2) ** 2)) * (radius > 0))
    return np.stack(found)


def _frequencies(side: int) -> tuple[Array, Array]:
    """Cycles a pixel, and directions, of a transform of (side, side)."""
    down, across = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    return np.hypot(down, across), np.arctan2(down, across)
