"""Pictures to look at: a thumbnail for the report page, and a contact sheet of many with their captions.

A picture that cannot be read still gets its tile: grey, with the reason on it.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vision.image import CorruptImage, picture

Array = npt.NDArray[Any]

TILE = 160
_GAP = 8
_LINE = 14  # pixels a line of a caption takes
_CAPTION_LINES = 2
_PAPER, _INK, _BROKEN = (255, 255, 255), (32, 32, 32), (190, 190, 190)


def thumbnail(data: bytes, side: int = TILE) -> bytes:
    """A small JPEG of an image file, its longer side at most `side` pixels; smaller pictures are not enlarged.

    Bytes that cannot be read give a grey square with the reason on it.
    """
    file = io.BytesIO()
    _tile(data, side).convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()


def contact_sheet(images: Sequence[tuple[bytes | Array, str]], columns: int = 6, side: int = TILE) -> bytes:
    """Pictures in rows, each with its caption below.

    Args:
        images: image files or (H, W, 3) uint8 arrays, with captions; what is longer than two lines is cut.
        columns: pictures in a row, at least 1. Fewer pictures than that make a narrower sheet.
        side: pixels of a tile; pictures keep their proportions in it.

    Returns:
        A PNG.

    Raises:
        ValueError: if there is nothing to show or no column to show it in.
    """
    if columns < 1 or not images:
        raise ValueError(f"a contact sheet needs pictures and columns, got {len(images)} and {columns}")
    columns = min(columns, len(images))
    wide, high = side + _GAP, side + _CAPTION_LINES * _LINE + _GAP
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * wide + _GAP, rows * high + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (source, caption) in enumerate(images):
        left, top = _GAP + index % columns * wide, _GAP + index // columns * high
        tile = _tile(source, side)
        sheet.paste(tile, (left + (side - tile.width) // 2, top + (side - tile.height) // 2))
        _write(draw, caption, (left, top + side + 2), side, _CAPTION_LINES)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _tile(source: bytes | Array, side: int) -> Image.Image:
    try:
        image = picture(source, shrink_to=(side, side)) if isinstance(source, bytes) else _from_array(source)
    except CorruptImage as error:
        return _grey_tile(str(error), side)
    scale = min(1.0, side / max(image.size))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def _from_array(pixels: Array) -> Image.Image:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or not pixels.size:
        raise ValueError(f"a picture must be (H, W, 3) uint8 and not empty, got {pixels.shape} {pixels.dtype}")
    return Image.fromarray(np.ascontiguousarray(pixels))


def _grey_tile(reason: str, side: int) -> Image.Image:
    tile = Image.new("RGB", (side, side), _BROKEN)
    _write(ImageDraw.Draw(tile), reason, (4, 4), side - 8, (side - 8) // _LINE)
    return tile


def _write(draw: ImageDraw.ImageDraw, text: str, place: tuple[int, int], width: int, lines: int) -> None:
    """At most `lines` lines of `text` in a column of `width` pixels; an ellipsis says that more was there."""
    font = ImageFont.load_default(11)
    per_line = max(4, int(width // font.getlength("n")))
    # The built-in font knows Latin letters only; a box for every other sign would say less than a question mark.
    plain = text.encode("latin-1", "replace").decode("latin-1")
    kept = textwrap.wrap(plain, per_line, max_lines=lines, placeholder=" ...") if lines else []
    for number, line in enumerate(kept):
        draw.text((place[0], place[1] + number * _LINE), line, _INK, font)
