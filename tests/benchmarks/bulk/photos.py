"""The benchmark's pictures: crops of real photographs, warped, flipped, jittered and grained, as JPEGs.

Eight photographs travel with scikit-image and scikit-learn. Cut and enlarged they would compress too well, so each
picture gets grain as a sensor gives it; then a file of 500 x 375 has 40 to 110 KB, as one from a camera or the web
has. Every picture follows from its number alone.
"""

from __future__ import annotations

import io
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from jobs.demonstration import PHOTOS

KINDS = {"small": (2048, (500, 375), (40_000, 110_000)), "big": (256, (2048, 1536), (350_000, 1_500_000))}
"""Name to (pictures, (width, height), least and most bytes of a file)."""

_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}


def write(folder: Path, kind: str) -> list[Path]:
    """The JPEGs of a kind, made where they are missing.

    Raises:
        ValueError: if their sizes are not those of photographs.
    """
    count, size, limits = KINDS[kind]
    paths = [folder / kind / f"{number:04d}.jpg" for number in range(count)]
    if not all(path.exists() for path in paths):
        photos = _photos()
        paths[0].parent.mkdir(parents=True, exist_ok=True)
        for number, path in enumerate(paths):
            if not path.exists():
                # Whole or not at all, so that an interrupted making can go on.
                part = path.with_suffix(".part")
                part.write_bytes(picture(photos, number, size, limits))
                os.replace(part, path)
    _check([path.stat().st_size for path in paths], limits)
    return paths


def _check(sizes: list[int], limits: tuple[int, int]) -> None:
    low, middle, high = np.percentile(sizes, [0, 50, 100])
    spread = np.std(sizes) / np.mean(sizes)
    if low < limits[0] or high > limits[1] or spread < 0.1:
        raise ValueError(f"files of {low:.0f}, {middle:.0f}, {high:.0f} bytes do not look like photographs: {limits}")


def _photos() -> list[Image.Image]:
    found = []
    for name, (package, _) in sorted(PHOTOS.items()):
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"the benchmark's photographs need {package}: pip install -e '.[demo]'")
        found.append(Image.open(Path(spec.origin).parent / _FOLDERS[package] / name).convert("RGB"))
    return found


def picture(photos: list[Image.Image], number: int, size: tuple[int, int], limits: tuple[int, int]) -> bytes:
    """Picture `number` as JPEG, its quality moved until its bytes lie within the limits."""
    rng = np.random.default_rng((number, *size))
    image = _jittered(_warped(photos[int(rng.integers(len(photos)))], size, rng), rng)
    pixels = np.asarray(image, np.float32)
    # Grain of brightness, and less of colour, as behind a Bayer filter.
    grain = rng.standard_normal(pixels.shape[:2], np.float32)[..., None] * rng.uniform(3, 7)
    colour = rng.standard_normal(pixels.shape, np.float32) * rng.uniform(0.5, 1.5)
    grained = Image.fromarray(np.clip(pixels + grain + colour, 0, 255).astype(np.uint8))
    quality = int(rng.integers(84, 94))
    while True:
        buffer = io.BytesIO()
        grained.save(buffer, "JPEG", quality=quality)
        bytes_ = buffer.tell()
        step = -3 if bytes_ > limits[1] else 3 if bytes_ < limits[0] else 0
        if step == 0 or not 30 <= quality + step <= 98:
            return buffer.getvalue()
        quality += step


def _warped(photo: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """A crop seen a little aslant: a quadrilateral of the photograph stretched over the picture."""
    ratio = size[0] / size[1]
    height = min(photo.height, photo.width / ratio) * rng.uniform(0.6, 0.95)
    width = height * ratio
    left, top = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
    corners = np.array([[0, 0], [0, 1], [1, 1], [1, 0]]) + rng.uniform(-0.04, 0.04, (4, 2))
    quad = np.clip(corners * (width, height) + (left, top), 0, (photo.width - 1, photo.height - 1))
    return photo.transform(size, Image.Transform.QUAD, list(quad.ravel()), Image.Resampling.BICUBIC)


def _jittered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = ImageOps.mirror(image) if rng.random() < 0.5 else image
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(float(rng.uniform(0.75, 1.25)))
    return image
