"""Is a compiled net still the net? Answers on a fixed set of pictures, held against those of the original.

The pictures are made, not kept: soft clouds of colour with a 1/f spectrum, an object with an edge, light and grain,
as photographs have; white noise would leave most nets' features near zero and the check blind.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from vision.accumulator import Array

PICTURES = 64

CLOSE = 0.5
"""Logits between the best two classes below which a picture is a close call: one is less than 1.65 times as likely
as the other. Of 10 flips between bf16 and fp32 among 600 real answers the widest had 0.21."""

LARGEST_ERROR = {"fp32": 1e-3, "bf16": 0.25, "bf16-only": 0.25}
"""The largest error of a probability that passes. Seen on 600 real answers: 7e-6 and 0.11."""

SPREAD = {"fp32": 1e-3, "bf16": 0.2, "bf16-only": 0.2}
"""The largest error of the logits (root mean square) beside their own spread that passes: it also sees a net whose
probabilities are all alike, such as an untrained one. Seen on 600 real answers: 1e-5 and 0.04."""

AGREEMENT = {"fp32": 1.0, "bf16": 0.95, "bf16-only": 0.95}
"""The least share of pictures that are no close calls (in fp32: all whose gap is above 0.01) with the same label."""


def pictures(size: tuple[int, int], count: int = PICTURES, seed: int = 0) -> Array:
    """(count, h, w, 3) uint8 pictures, the same on every machine up to a grey level."""
    rng = np.random.default_rng(seed)
    return np.stack([_picture(rng, *size) for _ in range(count)])


def _picture(rng: np.random.Generator, height: int, width: int) -> Array:
    y, x = np.mgrid[:height, :width] / max(height, width)
    ground, thing = _clouds(rng, height, width), _clouds(rng, height, width)
    centre, radii = rng.uniform(0.3, 0.7, 2), rng.uniform(0.1, 0.4, 2)
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    colour, other = rng.uniform(0, 1, (2, 3))
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(4, 30) * (x * rng.uniform(-1, 1) + y))
    picture = np.where(
        inside[..., None], 0.5 * thing + 0.3 * colour + 0.2 * stripes[..., None], 0.6 * ground + 0.4 * other
    )
    light = 1 + rng.uniform(-0.4, 0.4) * x + rng.uniform(-0.4, 0.4) * y
    grained = picture * light[..., None] + rng.normal(0, 0.02, picture.shape)
    return np.asarray(np.round(np.clip(grained, 0, 1) * 255), np.uint8)


def _clouds(rng: np.random.Generator, height: int, width: int) -> Array:
    """(h, w, 3) in 0..1 whose amplitudes fall as 1/f."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    spectrum = np.fft.rfft2(rng.normal(size=(3, height, width))) / np.maximum(frequency, 1 / max(height, width))
    clouds = np.fft.irfft2(spectrum, (height, width))
    low, high = clouds.min(axis=(1, 2), keepdims=True), clouds.max(axis=(1, 2), keepdims=True)
    return np.asarray(((clouds - low) / np.maximum(high - low, 1e-9)).transpose(1, 2, 0))


@dataclass(frozen=True)
class Check:
    """How a kernel's answers compare with the original's.

    Attributes:
        agree, pictures: pictures with the same first class, of all.
        agree_clear, clear: the same among pictures that are no close calls.
        largest_error: of a probability, 0..1.
        spread: root mean square error of the logits over their standard deviation.
    """

    agree: int
    pictures: int
    agree_clear: int
    clear: int
    largest_error: float
    spread: float

    @classmethod
    def of(cls, precision: str, logits: Array, original: Array) -> Self:
        """Compare (N, K) logits."""
        same = logits.argmax(1) == original.argmax(1)
        clear = gaps(original) >= (0.01 if precision == "fp32" else CLOSE)
        counts = int(same.sum()), len(same), int(same[clear].sum()), int(clear.sum())
        if not np.isfinite(logits).all():
            return cls(*counts, 1.0, float(np.finfo(np.float64).max))
        error = np.abs(_softmax(logits) - _softmax(original)).max()
        distance = np.square(logits.astype(np.float64) - original).mean() ** 0.5
        return cls(*counts, float(error), float(distance / max(float(original.std()), 1e-12)))

    def fault(self, precision: str) -> str | None:
        """Why the kernel must not be used, or None."""
        if not self.largest_error <= LARGEST_ERROR[precision]:
            return f"a probability is {self.largest_error:.2g} off, more than {LARGEST_ERROR[precision]:g}"
        if not self.spread <= SPREAD[precision]:
            return f"logits are {self.spread:.2g} of their spread off, more than {SPREAD[precision]:g}"
        if self.agree_clear < AGREEMENT[precision] * self.clear:
            return f"only {self.agree_clear} of {self.clear} clear labels are the same"
        return None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"top-1 the same on {self.agree} of {self.pictures}, probabilities at most {self.largest_error:.1g} off"


def gaps(logits: Array) -> Array:
    """(N,) differences between the two largest of (N, K) logits; infinite with a single class."""
    if logits.shape[1] < 2:
        return np.full(len(logits), np.inf)
    best = np.partition(logits, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


def _softmax(logits: Array) -> Array:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
