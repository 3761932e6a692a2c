"""Pillow's many modes to 8 bits a channel: "L" where the picture is grey, else "RGB".

Pillow decodes colours of 16 bits to their upper byte. Here the lower bytes are decoded too, by reading the file a
second time as if it had the other byte order, and both give the nearest of 256 levels: round(value / 257).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]

_STRIP = 2**22  # pixels converted at a time
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_HELD = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_ADDED = {"RGB": 0, "L": 0, "1": 1, "LA": 1, "I;16": 1, "I;16B": 1, "I;16L": 1, "I;16N": 1, "I": 1, "F": 1}
_GREY = ("1", "L", "LA", "I;16", "I;16B", "I;16L", "I;16N", "I", "F")


def bytes_a_pixel(file: Any) -> tuple[int, int, int]:
    """(held, added, kept): what Pillow's picture takes, what `to_8_bits` adds to it, what remains."""
    held, added = _HELD.get(file.mode, 4), _ADDED.get(file.mode, 4)
    if _is_deep(file):
        added += 4
    return held, added, 1 if file.mode in _GREY else 4


def to_8_bits(file: Any, again: Callable[[], Any]) -> Image.Image:
    """Decode an opened file.

    Args:
        file: a Pillow image whose header is read.
        again: opens the same file once more.

    Returns:
        A picture in mode "L" or "RGB".

    Raises:
        ValueError: if its numbers have no scale that is known, or its colours no way to RGB.
    """
    if _rawmode(file) == "LA;16B":  # PNG, grey with alpha: four bytes a pixel, so take them for four channels
        _set_rawmode(file, "RGBA")
        file.load()
        return _joined(file.getchannel(0), file.getchannel(1))
    if _is_deep(file):
        low = again()
        raw = _rawmode(low)
        _set_rawmode(low, raw[:-1] + _OTHER_ORDER[raw[-1]])
        file.load()
        low.load()
        return _joined(_to_rgb(file), _to_rgb(low))
    file.load()
    if file.mode.startswith("I;16"):
        return _mapped(file, nearest)
    if file.mode in ("I", "F"):
        return _mapped(file, _scale(file))
    return _to_rgb(file)


def nearest(values: Array) -> Array:
    """0..65535 to the nearest of 0..255, that is round(value / 257), as uint8."""
    return ((values.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode == "LA":
        return image.getchannel(0)
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    return image.convert("L" if image.mode == "1" else "RGB")


def _rawmode(file: Any) -> str:
    """How the decoder is told that the samples lie, for example "RGB;16B"."""
    arguments = file.tile[0][3] if file.tile else ""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _set_rawmode(file: Any, rawmode: str) -> None:
    file.tile = [
        tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode) for tile in file.tile
    ]


def _is_deep(file: Any) -> bool:
    """Colours of 16 bits that Pillow would cut; CMYK is left cut, since its way to RGB mixes the channels."""
    return _rawmode(file)[:-1] in ("RGB;16", "RGBA;16", "RGBX;16") or _rawmode(file) == "LA;16B"


def _strips(image: Image.Image) -> list[tuple[int, int, int, int]]:
    rows = max(1, _STRIP // image.width)
    return [(0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)]


def _joined(high: Image.Image, low: Image.Image) -> Image.Image:
    """The nearest 8 bits of upper and lower bytes, written over `high`."""
    for box in _strips(high):
        values = np.asarray(high.crop(box)).astype(np.uint16) << 8 | np.asarray(low.crop(box))
        high.paste(Image.fromarray(nearest(values)), box)
    return high


def _mapped(image: Image.Image, change: Callable[[Array], Array]) -> Image.Image:
    """A grey picture of numbers, made 8 bits strip by strip."""
    grey = Image.new("L", image.size)
    for box in _strips(image):
        grey.paste(Image.fromarray(change(np.asarray(image.crop(box)))), box)
    return grey


def _scale(image: Image.Image) -> Callable[[Array], Array]:
    """How numbers of 32 bits are meant, by their range: 0..1 and 0..255 as floats, 0..255 and 0..65535 as integers."""
    ranges = [_range(np.asarray(image.crop(box))) for box in _strips(image)]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    tops = [top for top in ((1, 255) if image.mode == "F" else (255, 65535)) if low >= 0 and high <= top]
    if not tops:
        raise ValueError(f"numbers of 32 bits from {low:g} to {high:g}, which is no known scale of grey")
    return lambda values: np.rint(values * (255.0 / tops[0])).astype(np.uint8)


def _range(values: Array) -> tuple[float, float]:
    """Smallest and largest; a nan counts as endless."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if low <= high else (-np.inf, np.inf)
