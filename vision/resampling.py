"""A part of a resized picture, to the last bit the pixels of a whole resize followed by a crop.

Pillow resizes in two passes, one an axis, and rounds to 8 bits between them. It can do so from a box of the source
only, but there are two catches. It takes the box in single precision: exact is an axis along which every coordinate
of the box is a whole number of 2**-k; there the part alone is computed, elsewhere the whole axis, and cut. And
Pillow 13 picks the axis that goes first by the sizes asked for, so that a part may be resized in another order than
the whole, with other roundings: then the whole is resized. The usual short side of 256 allows one axis of the two.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from PIL import Image

from vision import views

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "lanczos": Image.Resampling.LANCZOS,
}
"""torchvision's names. All but the two nearest are antialiased: their support grows with the shrinking."""

_WIDEST = 3  # Lanczos, in pixels of what is made
_AT_ONCE = 2**24  # pixels of an intermediate picture above which the work is cut into strips
_AT_MOST = 2**26
_LONGEST = 2**20  # pixels of a line: at a shorter side of 256, a picture 4096 times as long as wide


class Part(NamedTuple):
    """A rectangle in a resized picture, in its pixels."""

    top: int
    left: int
    height: int
    width: int


class _Span(NamedTuple):
    """Along one axis: the source from `low` to `high` becomes `pixels`, of which the part starts at `skip`."""

    low: float
    high: float
    pixels: int
    skip: int


def resample(image: Image.Image, size: tuple[int, int], part: Part, resampling: str) -> Image.Image:
    """The `part` of `image` resized to `size`.

    Args:
        image: mode "RGB" or "L".
        size: (height, width) of the whole resized picture, which is never made where less will do.
        part: lies inside `size`.
        resampling: a key of `FILTERS`.

    Raises:
        ValueError: if the picture is so elongated that a single line of it would have over a million pixels.
    """
    if size == (image.height, image.width):
        return _cut(image, part.left, part.top, part)
    exact = not resampling.startswith("nearest")  # which steps through the source, gathering errors as it goes
    source = (image.height, image.width)
    rows = _span(source[0], size[0], part.top, part.height, exact)
    columns = _span(source[1], size[1], part.left, part.width, exact)
    vertical_first = _vertical_first(source, size)
    if vertical_first != _vertical_first(source, (rows.pixels, columns.pixels)):
        rows, columns = _Span(0, source[0], size[0], part.top), _Span(0, source[1], size[1], part.left)
    if not vertical_first and columns.pixels * max(source[0], rows.pixels) > _AT_ONCE:
        return _in_strips(image, rows, columns, part, FILTERS[resampling])
    if exact and not vertical_first and columns.pixels > part.width:
        staged = _by_stages(image, rows, columns, part, FILTERS[resampling])
        if staged is not None:
            return staged
    box = (columns.low, rows.low, columns.high, rows.high)
    resized = image.resize((columns.pixels, rows.pixels), FILTERS[resampling], box)
    return _cut(resized, columns.skip, rows.skip, part)


def _cut(image: Image.Image, left: int, top: int, part: Part) -> Image.Image:
    if (image.width, image.height) == (part.width, part.height):
        return image
    return image.crop((left, top, left + part.width, top + part.height))


def _vertical_first(source: tuple[int, int], target: tuple[int, int]) -> bool:
    """Whether Pillow 13 goes down the columns first, by its own rule; older ones always start along the rows."""
    height, width = source[0] - target[0], source[1] - target[1]
    return height > max(0, 2 * width)


@lru_cache(4096)
def _span(source: int, target: int, start: int, length: int, exact: bool) -> _Span:
    """The least of the source that gives the part exactly.

    With `target / gcd` a power of two every edge is a multiple of its inverse. Single precision holds it while
    numerator and denominator have 24 bits together, and then every sum and product in Pillow's loop is exact too.
    """
    step = target // math.gcd(source, target)
    if not exact or length == target or step & (step - 1) or source * step >= 2**22:
        return _Span(0, source, target, start)
    scale = source / target
    return _Span(start * scale, (start + length) * scale, length, 0)


def _by_stages(
    image: Image.Image, rows: _Span, columns: _Span, part: Part, resampling: Image.Resampling
) -> Image.Image | None:
    """The same with columns cut away between the passes, which Pillow in one call keeps to the end.

    None where rows that nothing comes from cannot be left out without a copy.
    """
    first, last = _sources(rows, part, image.height)
    kept = image if last - first == image.height else views.rows(image, first, last)
    if kept is None:
        return None
    wide = kept.resize((columns.pixels, kept.height), resampling, (columns.low, 0, columns.high, kept.height))
    wide = wide.crop((columns.skip, 0, columns.skip + part.width, kept.height))
    tall = wide.resize((part.width, rows.pixels), resampling, (0, rows.low - first, part.width, rows.high - first))
    return _cut(tall, 0, rows.skip, part)


def _sources(rows: _Span, part: Part, height: int) -> tuple[int, int]:
    """The rows of the source that the part comes from, and a few more; all where `_span` was to keep all."""
    if rows.skip or rows.pixels > part.height:
        return 0, height
    reach = _WIDEST * max(1.0, (rows.high - rows.low) / rows.pixels) + 1
    return max(0, math.floor(rows.low - reach)), min(height, math.ceil(rows.high + reach))


def _in_strips(
    image: Image.Image, rows: _Span, columns: _Span, part: Part, resampling: Image.Resampling
) -> Image.Image:
    """The same in bounded memory, for pictures like 2x3000: first along all rows, then down the columns kept."""
    if max(columns.pixels, rows.pixels) > _LONGEST or part.width * image.height > _AT_MOST:
        raise ValueError(f"too elongated to resize: {image.width}x{image.height} pixels")
    wide = Image.new(image.mode, (part.width, image.height))
    step = max(1, _AT_ONCE // columns.pixels)
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        strip = strip.resize((columns.pixels, strip.height), resampling, (columns.low, 0, columns.high, strip.height))
        wide.paste(strip.crop((columns.skip, 0, columns.skip + part.width, strip.height)), (0, top))
    result = Image.new(image.mode, (part.width, part.height))
    step = max(1, _AT_ONCE // rows.pixels)
    for left in range(0, part.width, step):
        strip = wide.crop((left, 0, min(left + step, part.width), image.height))
        strip = strip.resize((strip.width, rows.pixels), resampling, (0, rows.low, strip.width, rows.high))
        result.paste(strip.crop((0, rows.skip, strip.width, rows.skip + part.height)), (left, 0))
    return result
