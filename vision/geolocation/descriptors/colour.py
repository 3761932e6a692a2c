"""Joint histogram of CIELAB: colours as people tell them apart, 4 bins of lightness by 14 by 14 of a* and b*.

References: Hays & Efros, "IM2GPS", CVPR 2008 (the bins); CIE 15:2004 (the space); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array

BINS = (4, 14, 14)
_EDGE = 100.0
"""a* and b* of sRGB reach from -87 to 99 and from -108 to 95; what lies beyond counts in the last bin."""

_XYZ: Array = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE: Array = np.array([0.95047, 1.0, 1.08883])  # D65
_MOST = 65536


def cielab(pixels: Array) -> Array:
    """(..., 3) float64 L* in 0..100, a* and b*, of (..., 3) uint8 sRGB under D65.

    >>> cielab(np.array([[255, 255, 255], [0, 0, 0]], np.uint8)).round(1).tolist()[1]
    [0.0, 0.0, 0.0]
    """
    linear = _LINEAR[pixels]
    ratios = linear @ _XYZ.T / _WHITE
    roots = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _linear() -> Array:
    values = np.arange(256) / 255
    found: Array = np.where(values > 0.04045, ((values + 0.055) / 1.055) ** 2.4, values / 12.92)
    return found


_LINEAR = _linear()


def histogram(pixels: Array, bins: tuple[int, int, int] = BINS) -> Array:
    """(L * a * b,) float64 shares of a photo's pixels, (h, w, 3) uint8, that add up to 1.

    Of large photos every n-th row and column is counted, so that about 65,000 pixels are.
    """
    step = max(1, int(np.sqrt(pixels.shape[0] * pixels.shape[1] / _MOST)))
    lab = cielab(pixels[::step, ::step].reshape(-1, 3))
    scaled = (lab + np.array([0, _EDGE, _EDGE])) / np.array([100, 2 * _EDGE, 2 * _EDGE])
    places = np.clip((scaled * bins).astype(np.int64), 0, np.array(bins) - 1)
    flat = np.ravel_multi_index(tuple(places.T), bins)
    shares: Array = np.bincount(flat, minlength=int(np.prod(bins))) / len(flat)
    return shares
