"""Which part of a picture its answer rests on: a square is moved over it, and what each place costs is written down.

For each place of the square a map has one number: by how much the log-probability of the class falls, in nats, when
the square covers that place. Above 0 the place speaks for the class, below 0 against it. Places begin at the left and
upper edge, `stride` pixels from each other, and the last one ends at the other edge, so that each pixel is covered:
ceil((side - square) / stride) + 1 along each side, and as many forward passes as places: 169 for squares of 32 every
16 pixels on 224 x 224. Squares are placed on what the net sees, after resizing and cutting.

Departures: PlaNet shows the probability itself and does not print square and stride; Zeiler & Fergus cover with grey
and look at a layer's activation too. Here the cover may be the picture's own mean colour, which a net has seen more
often than a grey it was never shown.

References: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014, section 4.2; Weyand,
Kostrikov & Philbin, "PlaNet", ECCV 2016, figure 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from vision.accumulator import Array
from vision.explaining import Wanted

Fill = Literal["mean", "grey", "black", "white"]
_LEVELS = {"grey": 128, "black": 0, "white": 255}
_AT_ONCE = 256
"""Covered copies of a picture that are held at once: 38 MB of 224 x 224, and a batch of a GPU."""


@dataclass(frozen=True)
class Occlusion:
    """A square that is moved over a picture.

    Attributes:
        square: its side in pixels.
        stride: pixels from one place to the next, at most `square`.
        fill: its colour: the mean of the picture it covers, or a level.
        wanted: whose log-probability is looked at.

    Raises:
        ValueError: if a value makes no sense.
    """

    square: int = 32
    stride: int = 16
    fill: Fill = "mean"
    wanted: Wanted = "answer"

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.square:
            raise ValueError(
                f"stride must be 1 to {self.square}, the square's side, or pixels stay uncovered; got {self.stride}"
            )
        if self.fill not in get_args(Fill) or self.wanted not in get_args(Wanted):
            raise ValueError(f"fill is one of {', '.join(get_args(Fill))}, got {self.fill!r} and {self.wanted!r}")

    def check(self, size: tuple[int, int]) -> None:
        if self.square > min(size):
            raise ValueError(f"a square of {self.square} pixels does not fit into {size[0]} x {size[1]}")

    def grid(self, size: tuple[int, int]) -> tuple[Array, Array]:
        """The upper edges (R,) and left edges (C,) of all places, pixels; a map is (R * C,), row by row."""
        self.check(size)
        tops, lefts = (np.append(np.arange(0, side - self.square, self.stride), side - self.square) for side in size)
        return tops, lefts

    def passes(self, size: tuple[int, int]) -> int:
        tops, lefts = self.grid(size)
        return len(tops) * len(lefts)

    def facts(self, size: tuple[int, int]) -> dict[str, Any]:
        self.check(size)
        asked = {"square": self.square, "stride": self.stride, "fill": self.fill, "explains": self.wanted}
        return {"explanation": "occlusion", **asked}

    def map(self, pixels: Array, score: float, scores: Callable[[Sequence[Array]], Array]) -> Array:
        found = [score - np.asarray(scores(part), np.float64) for part in self._covered(pixels)]
        return np.concatenate(found).astype(np.float32)

    def _covered(self, pixels: Array) -> Iterator[list[Array]]:
        """Copies of a picture, each covered at one place, some at a time."""
        high, wide = pixels.shape[:2]
        tops, lefts = self.grid((high, wide))
        colour = self._colour(pixels)
        places = [(top, left) for top in tops for left in lefts]
        for start in range(0, len(places), _AT_ONCE):
            copies = [pixels.copy() for _ in places[start : start + _AT_ONCE]]
            for copy, (top, left) in zip(copies, places[start:], strict=False):
                copy[top : top + self.square, left : left + self.square] = colour
            yield copies

    def _colour(self, pixels: Array) -> Array:
        """(3,) uint8."""
        if self.fill == "mean":
            # A sum of integers: the same on every machine.
            total = pixels.reshape(-1, 3).sum(axis=0, dtype=np.int64)
            mean: Array = np.rint(total / (pixels.shape[0] * pixels.shape[1])).astype(np.uint8)
            return mean
        return np.full(3, _LEVELS[self.fill], np.uint8)

    def heat(self, drops: Array, size: tuple[int, int]) -> Array:
        """(h, w) float64: a map by pixel, the mean over all places of the square that cover it.

        Args:
            drops: (R * C,), a map of a picture of `size`.

        Raises:
            ValueError: if there are not as many numbers as places.
        """
        tops, lefts = self.grid(size)
        if drops.shape != (len(tops) * len(lefts),):
            raise ValueError(f"a map of {size[0]} x {size[1]} has {len(tops) * len(lefts)} places, got {drops.shape}")
        total, covers = np.zeros(size), np.zeros(size)
        for drop, (top, left) in zip(drops, ((t, x) for t in tops for x in lefts), strict=True):
            total[top : top + self.square, left : left + self.square] += drop
            covers[top : top + self.square, left : left + self.square] += 1
        found: Array = total / covers
        return found


def share_within(heat: Array, box: tuple[float, float, float, float]) -> float:
    """How much of what speaks for a class lies within a box: of the parts above 0, nan where there are none.

    Args:
        heat: (h, w).
        box: x0, y0, x1, y1 in pixels; the last ones are not inside.

    Reference: Wang et al., "Score-CAM", CVPR Workshops 2020, section 4.3 (the energy-based pointing game).
    """
    mass = np.maximum(heat, 0.0)
    left, top, right, bottom = (round(edge) for edge in box)
    return float(mass[top:bottom, left:right].sum() / mass.sum()) if mass.sum() > 0 else float("nan")
