"""Pictures varied at random before a net learns from them, the same way each time for (seed, epoch, record).

Names with an optional strength, one after the other: `crop:4` (padded by 4 black pixels, cut at random), `flip` (left
to right, every second), `resized-crop:0.08` (a part of 8 to 100 % of the area, 3/4 to 4/3 as wide as high, resized),
`colour:0.4` (brightness, contrast and saturation times 0.6 to 1.4), `scale:256-512` (resized so that the shorter side
is 256 to 512 pixels, then cut at random). In numpy: torchvision's v2 transforms draw from one generator in sequence,
so that a picture's draws would depend on its neighbours, and cost 120 us a picture of 32 x 32 where `crop,flip` here
costs 15.

Departs from torchvision: colours are changed in one fixed order and without hue; a `resized-crop` cuts from the
picture already resized to the preprocessing's shorter side, and a `scale` resizes the picture that has the greatest
of its shorter sides, so that it is decoded once and kept for the next epoch.

References: Krizhevsky, Sutskever & Hinton, "ImageNet classification", 2012; Szegedy et al., "Going deeper", 2015;
Simonyan & Zisserman, "Very deep convolutional networks", ICLR 2015, section 3.1 (S in 256 to 512).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from vision.draws import Array, mix, uniform
from vision.resampling import Part, resample

_RATIO = math.log(4 / 3)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def crop(pixels: Array, keys: Array, pad: float) -> Array:
    """(B, h, w, 3) cut at random from pictures padded with black; moves each by up to `pad` pixels."""
    side, (count, height, width) = int(pad), pixels.shape[:3]
    padded = np.zeros((count, height + 2 * side, width + 2 * side, 3), np.uint8)
    padded[:, side : side + height, side : side + width] = pixels
    places = (uniform(keys, 2) * (2 * side + 1)).astype(np.int64)
    found = np.empty_like(pixels)
    for index, (top, left) in enumerate(places):
        found[index] = padded[index, top : top + height, left : left + width]
    return found


def flip(pixels: Array, keys: Array, chance: float) -> Array:
    """(B, h, w, 3), each turned left to right with a chance."""
    turned = uniform(keys, 1)[:, 0] < chance
    found = pixels.copy()
    found[turned] = pixels[turned, :, ::-1]
    return found


def colour(pixels: Array, keys: Array, strength: float) -> Array:
    """(B, h, w, 3) with brightness, contrast and saturation times 1 - strength .. 1 + strength."""
    factors = (1 + strength * (2 * uniform(keys, 3) - 1)).astype(np.float32)
    bright, contrast, saturation = (factors[:, i].reshape(-1, 1, 1, 1) for i in range(3))
    found = np.clip(pixels.astype(np.float32) * bright, 0, 255)
    mean = (found @ _GREY).mean(axis=(1, 2)).reshape(-1, 1, 1, 1)
    found = np.clip(mean + (found - mean) * contrast, 0, 255)
    grey = (found @ _GREY)[..., None]
    coloured: Array = np.clip(np.rint(grey + (found - grey) * saturation), 0, 255).astype(np.uint8)
    return coloured


Change = Callable[[Array, Array, float], Array]

CHANGES: dict[str, tuple[Change, float, float]] = {
    "crop": (crop, 4, 512), "flip": (flip, 0.5, 1), "colour": (colour, 0.4, 1),
}  # fmt: skip
"""Name to function, its usual strength and the greatest that makes sense."""

RESIZED, SCALE = "resized-crop", "scale"

_USUAL_SCALES = "256-512"
_LARGEST = 4096
"""Pixels of a shorter side: 50 MB a picture that is kept."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to each picture, in order.

    Attributes:
        changes: (name, strength) of `CHANGES`.
        least: share of the area that a `resized-crop` keeps at least; None without one.
        scales: least and greatest shorter side of a `scale`, pixels; None without one.
    """

    changes: tuple[tuple[str, float], ...] = ()
    least: float | None = None
    scales: tuple[int, int] | None = None

    @classmethod
    def parse(cls, words: Sequence[str]) -> Augmentation:
        """From names with optional strengths, such as ("crop:4", "flip").

        Raises:
            ValueError: if a name is unknown or a strength makes no sense.
        """
        changes, least, scales = [], None, None
        for word in words:
            name, _, given = word.partition(":")
            if name == RESIZED:
                least = _strength(word, given, 0.08, 1)
            elif name == SCALE:
                scales = _scales(word, given or _USUAL_SCALES)
            elif name in CHANGES:
                changes.append((name, _strength(word, given, *CHANGES[name][1:])))
            else:
                raise ValueError(f"there is no augmentation {name!r}, only {', '.join([*CHANGES, RESIZED, SCALE])}")
        if least is not None and scales is not None:
            raise ValueError(f"augmentations {RESIZED} and {SCALE} both choose the size of a part: give one of them")
        return cls(tuple(changes), least, scales)

    def check(self, size: tuple[int, int]) -> None:
        """Refuse scales at which a picture may be smaller than what is cut from it.

        Raises:
            ValueError: if the least of them is below a side of `size`.
        """
        if self.scales is not None and self.scales[0] < max(size):
            raise ValueError(
                f"augmentation {SCALE}:{self.scales[0]}-{self.scales[1]}: parts of {size[0]}x{size[1]} need shorter "
                f"sides from {max(size)} pixels up"
            )

    @property
    def cuts(self) -> bool:
        """Whether parts are cut from whole pictures."""
        return self.least is not None or self.scales is not None

    def apply(self, pixels: Array, keys: Array) -> Array:
        """The pictures changed.

        Args:
            pixels: (B, h, w, 3) uint8.
            keys: (B,) uint64, of (seed, epoch, record).
        """
        for number, (name, strength) in enumerate(self.changes):
            pixels = CHANGES[name][0](pixels, mix(keys, number), strength)
        return pixels

    def cut(self, whole: Array, key: Array, size: tuple[int, int]) -> Array:
        """A random part of a whole picture, resized.

        Args:
            whole: (H, W, 3) uint8; for a `scale` with the greatest shorter side.
            key: (1,) uint64.
            size: (height, width) of the result.
        """
        if self.scales is not None:
            return _scaled(whole, self.scales, uniform(mix(key, -2), 3)[0], size)
        left, top, width, height = _box(whole.shape[0], whole.shape[1], uniform(mix(key, -1), 22)[0], self.least or 1)
        part = Image.fromarray(whole[top : top + height, left : left + width])
        return np.asarray(part.resize(size[::-1], Image.Resampling.BILINEAR))


def _strength(word: str, given: str, usual: float, most: float) -> float:
    try:
        found = float(given) if given else usual
    except ValueError:
        raise ValueError(f"augmentation {word!r} is not of the form name:number") from None
    if not 0 < found <= most:
        raise ValueError(f"augmentation {word!r}: its number must be above 0 and at most {most:g}")
    return found


def _scales(word: str, given: str) -> tuple[int, int]:
    least, _, most = given.partition("-")
    if not (least.isdecimal() and most.isdecimal()) or not 1 <= int(least) <= int(most) <= _LARGEST:
        raise ValueError(f"augmentation {word!r} takes shorter sides in pixels, such as {SCALE}:{_USUAL_SCALES}")
    return int(least), int(most)


def _scaled(whole: Array, scales: tuple[int, int], draws: Array, size: tuple[int, int]) -> Array:
    """A part of the picture at a shorter side that is drawn evenly from all whole numbers of pixels."""
    short = scales[0] + int(draws[0] * (scales[1] - scales[0] + 1))
    height, width = (max(short, side * short // min(whole.shape[:2])) for side in whole.shape[:2])
    top, left = (int(u * (side - wanted + 1)) for u, side, wanted in zip(draws[1:], (height, width), size, strict=True))
    part = resample(Image.fromarray(whole), (height, width), Part(top, left, *size), "bilinear")
    return np.asarray(part)


def _box(height: int, width: int, draws: Array, least: float) -> tuple[int, int, int, int]:
    """(left, top, width, height) as torchvision draws it: ten tries at a shape, else the whole from the centre."""
    for attempt in range(10):
        area = height * width * (least + (1 - least) * draws[2 * attempt])
        ratio = math.exp(_RATIO * (2 * draws[2 * attempt + 1] - 1))
        wide, high = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            return int(draws[20] * (width - wide + 1)), int(draws[21] * (height - high + 1)), wide, high
    side = min(height, width)
    return (width - side) // 2, (height - side) // 2, side, side
