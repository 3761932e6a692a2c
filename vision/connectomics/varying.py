"""Crops of a volume varied at random, picture and labels together, the same way each time for (seed, epoch, number).

Words with an optional strength: `flip` (along each axis, every second), `transpose` (y and x change places, every
second), `elastic:0.2` (bent as `vision.connectomics.warping` says), `contrast:0.3` (grey levels times 0.7 to 1.3 and up
to 0.3 deviations brighter, for each section), and the defects of real stacks, for each section with a chance:
`blur:0.1` (out of focus), `missing:0.05` (not imaged) and `shift:0.05` (moved by up to 8 voxels against its neighbours,
its labels with it). The last two need several sections.

Targets are made of labels afterwards, so affinities of a flipped crop are those of the flipped labels.

Reference: Lee et al., "Superhuman accuracy on the SNEMI3D connectomics challenge", 2017 (the defects).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.connectomics.targets import UNKNOWN
from vision.connectomics.warping import warped
from vision.draws import mix, uniform

USUAL = {
    "flip": 0.5, "transpose": 0.5, "elastic": 0.2, "contrast": 0.3, "blur": 0.1, "missing": 0.05, "shift": 0.05,
}  # fmt: skip
"""Words and their usual strengths; all are shares, 0 to 1."""

FARTHEST = 8
"""Voxels by which a section is shifted at most."""


@dataclass(frozen=True)
class Variation:
    """What is done to each crop: (word, strength), in the order of `USUAL`."""

    changes: tuple[tuple[str, float], ...] = ()

    @classmethod
    def parse(cls, words: Sequence[str], crop: tuple[int, int, int]) -> Variation:
        """From words with optional strengths, for crops of a size.

        Raises:
            ValueError: if a word is unknown, its strength makes no sense, or crops of that size have no use for it.
        """
        asked = {}
        for word in words:
            name, _, given = word.partition(":")
            if name not in USUAL:
                raise ValueError(f"there is no variation {name!r} of a volume, only {', '.join(USUAL)}")
            try:
                asked[name] = float(given) if given else USUAL[name]
            except ValueError:
                raise ValueError(f"variation {word!r} is not of the form name:number") from None
            if not 0 < asked[name] <= 1:
                raise ValueError(f"variation {word!r}: its number must be above 0 and at most 1")
            if name in ("missing", "shift") and crop[0] == 1:
                raise ValueError(f"variation {word!r} needs crops of several sections, and these are {crop}")
            if name == "transpose" and crop[1] != crop[2]:
                raise ValueError(f"variation {word!r} needs crops as high as wide, and these are {crop}")
        return cls(tuple((name, asked[name]) for name in USUAL if name in asked))

    def apply(self, image: Array, labels: Array, key: Array) -> tuple[Array, Array]:
        """Picture and labels changed.

        Args:
            image: (Z, Y, X) float32, normalised.
            labels: (Z, Y, X) int64 of the same voxels, or of more on all sides alike.
            key: (1,) uint64, of (seed, epoch, number).
        """
        for number, (name, strength) in enumerate(self.changes):
            own = mix(key, number)
            if name in ("flip", "transpose"):
                draws = uniform(own, 3)[0] < strength
                image, labels = (_turned(values, name, draws) for values in (image, labels))
            elif name == "elastic":
                image, labels = warped(image, labels, own, strength)
            else:
                image, labels = _sections(name, image, labels, own, strength)
        return image, labels


def _turned(values: Array, name: str, draws: Array) -> Array:
    if name == "transpose":
        return values.transpose(0, 2, 1) if draws[0] else values
    return values[tuple(slice(None, None, -1) if turned else slice(None) for turned in draws)]


def _sections(name: str, image: Array, labels: Array, key: Array, strength: float) -> tuple[Array, Array]:
    """What happens to each section by itself."""
    image, labels = image.copy(), labels.copy()
    beyond = (len(labels) - len(image)) // 2
    for number, (chance, one, other) in enumerate(uniform(mix(key, np.arange(len(image))), 3)):
        if name == "contrast":
            image[number] = image[number] * (1 + strength * (2 * chance - 1)) + strength * (2 * one - 1)
        elif chance < strength and name == "missing":
            image[number] = 0
        elif chance < strength and name == "blur":
            image[number] = _blurred(image[number], 0.5 + 2 * one)
        elif chance < strength:
            by = [int((2 * FARTHEST + 1) * draw) - FARTHEST for draw in (one, other)]
            image[number] = _moved(image[number], by, 0)
            labels[number + beyond] = _moved(labels[number + beyond], by, UNKNOWN)
    return image, labels


def _blurred(section: Array, deviation: float) -> Array:
    from scipy.ndimage import gaussian_filter

    blurred: Array = gaussian_filter(section, deviation)
    return blurred


def _moved(section: Array, by: Sequence[int], empty: int) -> Array:
    """A section (Y, X) moved by (y, x) voxels; what comes in from outside is `empty`."""
    moved = np.full_like(section, empty)
    to = tuple(slice(max(0, step), min(size, size + step)) for step, size in zip(by, section.shape, strict=True))
    out = tuple(slice(max(0, -step), min(size, size - step)) for step, size in zip(by, section.shape, strict=True))
    moved[to] = section[out]
    return moved
