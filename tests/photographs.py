"""Pictures with the statistics of photographs, made on the spot, and the copies that people make of them.

Opaque shapes of all sizes that hide each other ("dead leaves") have edges, shades and a spectrum like those of
photographs: Lee, Mumford & Huang, "Occlusion models for natural images", IJCV 2001.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw

LEAVES = 60


def leaves(seed: int, width: int = 224, height: int = 168) -> Image.Image:
    """A picture of its own for each seed; about 1 ms."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    # Radii r with a density of r**-3 look alike at any magnification.
    radii = np.sort(8 / np.sqrt(rng.uniform((8 / width) ** 2, 1, LEAVES)))[::-1]
    middles = rng.uniform(0, (width, height), (LEAVES, 2))
    colours = rng.integers(0, 256, (LEAVES, 3))
    for radius, (x, y), colour in zip(radii.tolist(), middles.tolist(), colours.tolist(), strict=True):
        flat = radius * rng.uniform(0.5, 1)
        box = (x - radius, y - flat, x + radius, y + flat)
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(box, fill=tuple(colour))
    return image


def encoded(image: Image.Image, quality: int = 90) -> bytes:
    """A JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """At 0.3 to 0.9 of its size."""
    scale = rng.uniform(0.3, 0.9)
    return image.resize((max(8, int(image.width * scale)), max(8, int(image.height * scale))))


def recompressed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """At a JPEG quality of 30 to 80."""
    return Image.open(io.BytesIO(encoded(image, int(rng.integers(30, 81))))).convert("RGB")


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without 2 % of its width and of its height, at any place."""
    across, down = round(image.width * 0.02), round(image.height * 0.02)
    x, y = int(rng.integers(0, across + 1)), int(rng.integers(0, down + 1))
    return image.crop((x, y, image.width - across + x, image.height - down + y))


COPIES: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "resized": resized,
    "recompressed": recompressed,
    "cropped": cropped,
}
