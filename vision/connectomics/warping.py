"""A crop bent like rubber: every voxel of picture and labels comes from a place a little beside its own.

Points 32 voxels apart in y and x are moved at random, and between them displacements follow cubic B-splines; strength
is the standard deviation of a point's move as a share of those 32 voxels. All sections of a crop are bent alike, so
that neurons stay in one piece from section to section. Grey levels are interpolated, labels taken from the nearest
voxel, and what would come from beyond the picture is empty and teaches nothing.

torchvision's ElasticTransform draws from one generator in sequence, so that a crop would depend on those before it, and
samples labels as float32, which holds no ids above 2**24; scipy interpolates here.

Departs from the paper, which moves a grid of 3 x 3 points by 10 pixels: here the distance of the points does not depend
on the size of a crop, as in 3D U-Net (4 voxels at points 32 apart, a strength of 0.125). Splines smooth what they join:
voxels move by about half as much as points.

It costs 6 to 9 ms a crop of 160 x 160. A U-Net of width 12 gained nothing by it in 16 epochs of 320 crops of ISBI 2012
(16 sections, beside flips, transposes and contrast): Vrand on the other 4 was 0.909 and 0.888 with a strength of 0.2
from two seeds, and 0.900 and 0.891 without, with intervals of 0.63 to 1: it is off unless asked for.

References: Ronneberger, Fischer & Brox, "U-Net", MICCAI 2015; Çiçek et al., "3D U-Net", MICCAI 2016.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.connectomics.targets import UNKNOWN
from vision.draws import mix, uniform

SPACING = 32
"""Voxels between the points that are moved."""


def warped(image: Array, labels: Array, key: Array, strength: float) -> tuple[Array, Array]:
    """Picture and labels bent alike.

    Args:
        image: (Z, Y, X) float32.
        labels: (Z, Y, X) int64 of the same voxels, or of more on all sides alike.
        key: (1,) uint64 that draws the moves.
        strength: deviation of a point's move over the distance between points.

    Returns:
        The two, of the shapes that came: 0 and `UNKNOWN` where a voxel would come from beyond the picture.
    """
    beyond = [(full - own) // 2 for full, own in zip(labels.shape, image.shape, strict=True)]
    moves = displacement(labels.shape[1:], key, strength * SPACING)
    places = np.indices(labels.shape[1:], np.float64) + moves  # (2, Y, X), in voxels of the labels
    found = _nearest(labels, places)
    inner = tuple(slice(far, far + size) for far, size in zip(beyond, image.shape, strict=True))
    own = places[(slice(None), *inner[1:])] - np.array(beyond[1:]).reshape(2, 1, 1)
    seen = np.logical_and.reduce([(p >= 0) & (p <= n - 1) for p, n in zip(own, image.shape[1:], strict=True)])
    part = found[inner]
    part[:, ~seen] = UNKNOWN
    return np.where(seen, _interpolated(image, own), np.float32(0)), found


def displacement(shape: tuple[int, ...], key: Array, deviation: float) -> Array:
    """Where each voxel of a section comes from, relative to its own place: (2, Y, X) float64, voxels along y and x.

    Args:
        deviation: of the moves of the points, voxels.
    """
    from scipy.special import ndtri

    rows, columns = (_splines(size) for size in shape)
    count = 2 * rows.shape[1] * columns.shape[1]
    draws = uniform(mix(key, np.arange(count)), 1)
    points = deviation * ndtri(np.maximum(draws, 2.0**-54)).reshape(2, rows.shape[1], columns.shape[1])
    return np.asarray(rows @ points @ columns.T)


def _splines(size: int) -> Array:
    """(size, points) weights of the points along an axis: cubic B-splines, which add up to 1 everywhere."""
    at = np.arange(size) / SPACING
    away = np.abs(at[:, None] - np.arange(-1, int(at[-1]) + 3))
    near = 2 / 3 - away**2 + away**3 / 2
    return np.where(away < 1, near, np.maximum(2 - away, 0) ** 3 / 6)


def _nearest(labels: Array, places: Array) -> Array:
    """Labels (Z, Y, X) at places (2, Y, X), `UNKNOWN` outside."""
    y, x = np.rint(places).astype(np.int64)
    (_, height, width) = labels.shape
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    found = labels[:, y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.where(inside, found, UNKNOWN)


def _interpolated(image: Array, places: Array) -> Array:
    """Grey levels (Z, Y, X) float32 at places (2, Y, X), linear between voxels."""
    from scipy.ndimage import map_coordinates

    return np.stack([map_coordinates(section, places, order=1, mode="nearest") for section in image])
