"""im2gps's descriptors of a photo, each a vector of its own, and all of them side by side.

    descriptor numbers   ms
    tiny           768    0   the photo at 16 x 16
    colour         784    4   joint histogram of CIELAB, 4 x 14 x 14
    gist           600   22   responses to 24 oriented filters over 5 x 5 places
    lines           33   21   directions and lengths of straight edges
    textons        512   24   histogram of filter responses by a dictionary (of 512 words in the paper)
    words          any    6   histogram of SIFT descriptors by a dictionary

The times are for a photo of 224 x 224 on one core of a Zen 5 that does other things too, without the dictionaries.

im2gps sums the distances of its features, each scaled to count alike. Here each descriptor is turned into a vector of
length 1 (histograms by the square roots of their shares, whose distance is Hellinger's), so that one search by
Euclidean distance over all side by side does the same: its square is the sum of the squares of the parts.

Departures: the geometric context (Hoiem et al.) is left out, for it needs a trained model of its own; SIFT is taken on
a grid and not at interest points; the two dictionaries are learnt from the user's own photos (`Dictionary.learn`).

Reference: Hays & Efros, "IM2GPS: estimating geographic information from a single image", CVPR 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from vision.accumulator import Array
from vision.geolocation.descriptors import colour, gist, lines, sift, textons, tiny
from vision.geolocation.descriptors.words import Dictionary

__all__ = ["DICTIONARIES", "PLAIN", "Describer", "Dictionary", "local", "unit"]

PLAIN: Mapping[str, Callable[[Array], Array]] = {
    "tiny": tiny.tiny,
    "colour": lambda pixels: np.sqrt(colour.histogram(pixels)),
    "gist": gist.gist,
    "lines": lambda pixels: np.sqrt(lines.histogram(pixels)),
}
"""Descriptors that need nothing but the photo."""

DICTIONARIES: Mapping[str, Callable[[Array], Array]] = {"textons": textons.responses, "words": sift.dense}
"""Descriptors that are histograms by a dictionary, and the (M, D) features that it is learnt from."""


def local(name: str, pixels: Array) -> Array:
    """(M, D) float32 features of a photo that a dictionary of this name is learnt from.

    Raises:
        ValueError: if there is no such descriptor.
    """
    if name not in DICTIONARIES:
        raise ValueError(f"{name!r} has no dictionary; these have: {', '.join(DICTIONARIES)}")
    return DICTIONARIES[name](pixels)


@dataclass(frozen=True, eq=False)
class Describer:
    """Photos to vectors.

    Attributes:
        weights: which descriptors, and how much each counts.
        dictionaries: of those that need one.

    Raises:
        ValueError: if a descriptor is not known, or its dictionary is not there.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(PLAIN, 1.0))
    dictionaries: Mapping[str, Dictionary] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if name not in PLAIN and name not in DICTIONARIES:
                raise ValueError(f"there is no descriptor {name!r}; there are {', '.join([*PLAIN, *DICTIONARIES])}")
            if name in DICTIONARIES and name not in self.dictionaries:
                raise ValueError(f"{name} needs a dictionary: learn one from photos (Dictionary.learn)")
            if not weight > 0:
                raise ValueError(f"weights are above 0, got {weight} for {name}")

    def __call__(self, pixels: Array) -> Array:
        """(D,) float32 of one photo, (h, w, 3) uint8 of any size from 32 x 32 up.

        Raises:
            ValueError: if it is no such picture.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or min(pixels.shape[:2]) < 32:
            raise ValueError(f"a photo is (h, w, 3) uint8 of at least 32 x 32, got {pixels.shape} {pixels.dtype}")
        parts = [weight * unit(self._one(name, pixels)) for name, weight in self.weights.items()]
        return np.concatenate(parts).astype(np.float32)

    def _one(self, name: str, pixels: Array) -> Array:
        if name in PLAIN:
            return PLAIN[name](pixels)
        shares: Array = np.sqrt(self.dictionaries[name].histogram(local(name, pixels)))
        return shares


def unit(vector: Array) -> Array:
    """A vector at length 1; nothing but zeros stays as it is."""
    length = float(np.linalg.norm(vector))
    found: Array = vector / length if length > 0 else vector
    return found
