"""Bytes to pixels, with Pillow and libjpeg-turbo: upright 8-bit RGB, or one line that says why not.

What comes out is what Pillow's `convert("RGB")`, and so torchvision on PIL images, makes of the file, with three
differences, each a mistake there: EXIF orientation is applied, 16 bits are rounded to 8 (Pillow clips grey at 255
and cuts colours), and 32-bit numbers are scaled. Alpha is dropped, not composited. Of an animation or a file of
several pages the first frame counts. A colour profile is not applied.

A file can be hostile. Its size is known before a pixel is decoded, and both its pixels and the bytes that its format
needs to decode them are limited: 5 bytes a pixel of `max_pixels`, 447 MB by default. So `picture` stays below 450 MB
whatever comes; `decode` adds 3 bytes a pixel for its array. About 1 ms for a JPEG of 500x375.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vision import depth, headers, turbo
from vision.faults import CorruptImage, faults, time_limit_s

__all__ = [
    "MAX_PIXELS", "CorruptImage", "Facts", "array", "decode", "decoder_version", "facts", "picture",
    "plain_jpeg", "time_limit_s",
]  # fmt: skip

Array = npt.NDArray[Any]

MAX_PIXELS = 89_478_485
"""Pillow's own limit: a quarter of a gigabyte at 3 bytes a pixel."""

_LEFT_TO_RESIZE = 3  # see `Preprocessing.load` for what this costs in grey levels
_LEAST_TARGET = 64
_RULE = 3
_BUDGET = 5  # bytes of memory a pixel of the limit

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# What a codec holds beside Pillow's picture, in bytes a pixel.
_CODEC_BYTES = {"WEBP": 12, "AVIF": 14, "JPEG2000": 16, "HEIF": 12}


def _heif(file: io.BytesIO) -> Any:
    try:
        return importlib.import_module("pillow_heif").HeifImageFile(file)
    except ImportError:
        raise CorruptImage("HEIC, which can only be read where pillow-heif is installed") from None


_OPENERS: dict[str, Callable[[io.BytesIO], Any]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "HEIF": _heif,
}


@dataclass(frozen=True)
class Facts:
    """What a file's header says. Width and height are upright, as `decode` gives them; `frames` counts pages too."""

    format: str
    width: int
    height: int
    mode: str
    frames: int
    orientation: int


@cache
def decoder_version() -> str:
    """What made the pixels, for a fingerprint: libraries by version, and the rule that leads from bytes to pixels."""
    libraries = " ".join(f"{name}-{version(name)}" for name in ("pillow", "simplejpeg"))
    return f"{libraries} rule-{_RULE}"


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, shrink_to: tuple[int, int] | None = None) -> Array:
    """The picture in an image file, as an array.

    Args:
        data: a whole file: JPEG, PNG, GIF, WebP, TIFF, BMP, PNM, JPEG 2000, AVIF; HEIC with pillow-heif.
        max_pixels: width times height above which the header alone is enough to refuse.
        shrink_to: (height, width) that the picture will be shrunk to anyway, upright. A JPEG at least six times as
            large on both sides is then decoded at 1/2, 1/4 or 1/8, no smaller than three times that size. Faster,
            and no longer pixel-exact: see `Preprocessing.load`.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        CorruptImage: whatever else `data` is.
    """
    return array(picture(data, max_pixels=max_pixels, shrink_to=shrink_to))


def picture(data: bytes, *, max_pixels: int = MAX_PIXELS, shrink_to: tuple[int, int] | None = None) -> Image.Image:
    """`decode`, kept as a PIL image: mode "RGB", or "L" where all three channels would be equal."""
    with faults(headers.kind(data)) as kind:
        file = _open(kind, data, max_pixels)
        turn = _orientation(kind, file)
        stored = file.size
        scale = _shrink(file, shrink_to if turn < 5 else shrink_to[::-1]) if shrink_to and kind == "JPEG" else 1
        _check_bytes(kind, file, turn, max_pixels)
        fast = turbo.picture(file, data, stored, scale) if kind == "JPEG" else None
        colours = fast or depth.to_8_bits(file, lambda: _OPENERS[kind](io.BytesIO(data)))
        turn = _orientation(kind, file)  # again: in a PNG it may come after the pixels
        return colours.transpose(_TURNS[turn]) if turn in _TURNS and kind != "TIFF" else colours


def array(image: Image.Image) -> Array:
    """(H, W, 3) uint8 of a picture in mode "RGB" or "L". In strips: Pillow's own export takes the memory twice."""
    found = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, 2**22 // image.width)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels = np.asarray(strip)
        found[top : top + rows] = pixels[..., None] if pixels.ndim == 2 else pixels
    return found


def facts(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Facts:
    """What the header says; no pixel is decoded, though frames and pages are counted by walking through the file.

    Raises:
        CorruptImage: if the header cannot be read.
    """
    with faults(headers.kind(data)) as kind:
        file = _open(kind, data, max_pixels)
        turn, (width, height) = _orientation(kind, file), file.size
        if turn >= 5 and kind != "TIFF":
            width, height = height, width
        return Facts(kind, width, height, file.mode, getattr(file, "n_frames", 1), turn)


def plain_jpeg(data: bytes, *, max_pixels: int = MAX_PIXELS) -> tuple[int, int] | None:
    """(height, width) of a JPEG that any decoder reads alike: upright, whole, grey or YCbCr. None for all else."""
    if headers.kind(data) != "JPEG" or not data.endswith(b"\xff\xd9"):
        return None
    try:
        with faults("JPEG"):
            file = _open("JPEG", data, max_pixels)
            usual = turbo.is_ordinary(file, data, file.width * file.height)
            plain = usual and _orientation("JPEG", file) == 1 and file.info.get("adobe_transform", 1) == 1
            return (file.height, file.width) if plain else None
    except CorruptImage:
        return None


def _open(kind: str, data: bytes, max_pixels: int) -> Any:
    """The file with its header read, and its size found allowed."""
    if not kind:
        raise CorruptImage(headers.complaint(data))
    # libwebp claims memory for the canvas when it opens a file.
    canvas = headers.webp_size(data) if kind == "WEBP" else None
    if canvas:
        _check_pixels(kind, canvas, max_pixels)
        _check_memory(kind, canvas, (4 + _CODEC_BYTES["WEBP"]) * canvas[0] * canvas[1], max_pixels)
    file = _OPENERS[kind](io.BytesIO(data))
    _check_pixels(kind, file.size, max_pixels)
    return file


def _check_pixels(kind: str, size: tuple[int, int], max_pixels: int) -> None:
    if size[0] * size[1] > max_pixels:
        raise CorruptImage(f"{kind} of {size[0]}x{size[1]} pixels, more than the {max_pixels} allowed")


def _check_memory(kind: str, size: tuple[int, int], needed: float, max_pixels: int) -> None:
    if needed > _BUDGET * max_pixels:
        raise CorruptImage(
            f"{kind} of {size[0]}x{size[1]} pixels, which needs {needed / 1e6:.0f} MB to decode;"
            f" {_BUDGET * max_pixels / 1e6:.0f} MB are allowed"
        )


def _check_bytes(kind: str, file: Any, turn: int, max_pixels: int) -> None:
    """Refuse what would fit as pixels but not on the way there."""
    width, height = file.size
    held, added, kept = depth.bytes_a_pixel(file)
    peak = held * width * height + max(added * width * height, _codec_bytes(kind, file))
    if turn in _TURNS:
        peak = max(peak, 2 * kept * width * height)
    peak += 16 * max(width, height)  # Pillow keeps a pointer to every row
    _check_memory(kind, file.size, peak, max_pixels)


def _codec_bytes(kind: str, file: Any) -> float:
    """What the decoder holds beside the picture: all coefficients of a progressive JPEG, a strip or tile of a TIFF."""
    width, height = file.size
    if kind == "JPEG" and file.info.get("progressive"):
        sampling = [across * down for _, across, down, _ in file.layer]
        scale = file.decoderconfig[0] if file.decoderconfig else 1
        coefficients: float = 2.0 * sum(sampling) / max(*sampling, 1) * width * height * scale**2
        return coefficients
    if kind == "TIFF":
        tags = file.tag_v2
        columns, rows = tags.get(322, width), tags.get(323, tags.get(278, height))
        piece: float = 4.0 * columns * (rows if 322 in tags else min(rows, height))
        return piece
    return float(_CODEC_BYTES.get(kind, 0) * width * height)


def _orientation(kind: str, file: Any) -> int:
    """1 to 8. Pillow turns a TIFF while it loads it, so that there it only tells of the memory needed."""
    if kind == "TIFF":
        turn = file.tag_v2.get(0x0112, 1)
        return turn if isinstance(turn, int) else 1
    return headers.orientation(file.info.get("exif"))


def _shrink(file: ImageFile.ImageFile, target: tuple[int, int]) -> int:
    """Have a JPEG decoded at 1/8, 1/4 or 1/2, as far as leaves three times the target to be resized as ever.

    Only by a scale that divides both sides: otherwise the last row and column stand for less than the others, and
    what is resized from them is shifted, by up to 5 grey levels on average.
    """
    for scale in (8, 4, 2) if min(target) >= _LEAST_TARGET else ():
        width, height = file.width // scale, file.height // scale
        whole = file.size == (width * scale, height * scale)
        if whole and width >= _LEFT_TO_RESIZE * target[1] and height >= _LEFT_TO_RESIZE * target[0]:
            file.draft(None, (width, height))
            return scale
    return 1
