"""Straight edges: which directions they have and how long they are. Streets have verticals, dunes have not.

Neighbouring pixels with a gradient of about the same direction are one piece of an edge; its second moments say how
long and how straight it is. Pieces are found twice, with bins of directions half a bin apart, so that no line is cut
in two by the edge of a bin both times; each of the two counts half.

References: Burns, Hanson & Riseman, "Extracting straight lines", IEEE PAMI 1986; Kosecka & Zhang, "Video compass", ECCV
2002, as Hays & Efros use it.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.geolocation.descriptors.tiny import grey

SIDE = 256
DIRECTIONS, LENGTHS = 17, 16
_BINS = 8
_STEEP = 0.06
"""Difference of brightness from one pixel to the next that is an edge."""
_LEAST, _STRAIGHT = 8.0, 0.02
"""Pixels of the shortest line; how wide one may be, by the ratio of its variances."""


def histogram(pixels: Array) -> Array:
    """(33,) float64 of a photo (h, w, 3) uint8: shares of 17 directions by length, then of 16 lengths by number.

    Each half adds up to 1 where there are lines, and is 0 where there are none. Directions go from 0 (horizontal) over
    a half turn, the first bin about 0; lengths from 8 pixels of 256 up, half an octave a bin.
    """
    length, angle = segments(grey(pixels, SIDE))
    directions, lengths = np.zeros(DIRECTIONS), np.zeros(LENGTHS)
    if len(length):
        bins = np.rint(angle / np.pi * DIRECTIONS).astype(np.int64) % DIRECTIONS
        directions = np.bincount(bins, length, DIRECTIONS) / length.sum()
        sizes = np.clip((2 * np.log2(length / _LEAST)).astype(np.int64), 0, LENGTHS - 1)
        lengths = np.bincount(sizes, minlength=LENGTHS) / len(length)
    return np.concatenate([directions, lengths])


def segments(picture: Array) -> tuple[Array, Array]:
    """Lengths in pixels and directions in 0..pi, radians, of the straight edges of a picture (h, w) in 0..1."""
    down, across = np.gradient(picture)
    steep = np.hypot(down, across) > _STEEP
    turn = np.mod(np.arctan2(down, across), 2 * np.pi) / (2 * np.pi) * _BINS
    parts = [_pieces(steep, np.floor(turn + shift).astype(np.int64) % _BINS) for shift in (0.0, 0.5)]
    lengths, angles = (np.concatenate(values) for values in zip(*parts, strict=True))
    return lengths, angles


def _pieces(steep: Array, bins: Array) -> tuple[Array, Array]:
    from scipy import ndimage

    labels, count = np.zeros(steep.shape, np.int64), 0
    for number in range(_BINS):
        found, more = ndimage.label(steep & (bins == number), np.ones((3, 3), bool))
        labels[found > 0] = found[found > 0] + count
        count += more
    rows, columns = np.nonzero(labels)
    return _moments(labels[rows, columns] - 1, columns.astype(np.float64), -rows.astype(np.float64), count)


def _moments(owner: Array, x: Array, y: Array, count: int) -> tuple[Array, Array]:
    """Length and direction of each piece of edge that is long and straight, from the moments of its pixels."""
    n = np.maximum(np.bincount(owner, minlength=count), 1)

    def average(values: Array) -> Array:
        found: Array = np.bincount(owner, values, count) / n
        return found

    mean_x, mean_y = average(x), average(y)
    dx, dy = x - mean_x[owner], y - mean_y[owner]
    xx, yy, xy = average(dx * dx), average(dy * dy), average(dx * dy)
    half, root = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    length = np.sqrt(12 * (half + root))
    kept = (length >= _LEAST) & (half - root <= np.maximum(_STRAIGHT * (half + root), 0.5))
    angle = np.mod(np.arctan2(2 * xy, xx - yy) / 2, np.pi)
    return length[kept], angle[kept]
