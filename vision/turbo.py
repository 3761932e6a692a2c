"""Ordinary JPEGs by libjpeg-turbo in one call, to the pixels and the verdict of Pillow, which decodes the others.

Pillow 13 carries the same library and reads a file in blocks of 64 KB; simplejpeg reads it where it lies, and writes
pixels as Pillow keeps them (see `vision.views`). That saves 5 to 10 % of the decoding, and lets rows be cut without a
copy. simplejpeg stops at the first warning of the library; then, and for whatever is unusual in a header, Pillow
judges the file, so that nothing is read or refused here that it would not.

Both decode whole pictures: neither offers libjpeg-turbo's way of skipping rows and columns outside a crop.
"""

from __future__ import annotations

from typing import Any

import simplejpeg  # type: ignore[import-untyped]
from PIL import Image

from vision import headers, views

_SAMPLINGS = ((1, 1), (2, 1), (1, 2), (2, 2))  # of brightness beside colour: 4:4:4, 4:2:2, 4:4:0, 4:2:0
_HUFFMAN = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_AT_ONCE = 2**28  # pixels times scans: about a second, in which no time limit can stop the work


def picture(file: Any, data: bytes, stored: tuple[int, int], scale: int) -> Image.Image | None:
    """The picture in a JPEG, as it is stored, or None where it is Pillow's to decode.

    Args:
        file: opened by Pillow: its header is read, its size found allowed, its pixels not decoded.
        data: the same file.
        stored: its width and height, which `file` may have been told to scale.
        scale: 1, 2, 4 or 8: how many times smaller than it is stored. Divides both sides.

    Returns:
        Mode "RGB" or "L".
    """
    if not is_ordinary(file, data, stored[0] * stored[1]):
        return None
    width, height = stored[0] // scale, stored[1] // scale
    colours = "GRAY" if file.layers == 1 else "RGBX"
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width)
    except ValueError:  # damaged, or of a kind it does not know
        return None
    if pixels.shape[:2] != (height, width):
        return None
    return views.over(pixels[..., 0] if file.layers == 1 else pixels)


def is_ordinary(file: Any, data: bytes, area: int) -> bool:
    """Whether Huffman codes of 8 bits, grey or in a usual sampling, are all that the header declares."""
    sampling = [(across, down) for _, across, down, _ in file.layer]
    colours = [] if file.layers == 1 else [(1, 1), (1, 1)]
    usual = len(sampling) == file.layers and sampling[0] in _SAMPLINGS and sampling[1:] == colours
    frame = headers.jpeg_frame(data) if usual else None
    if frame is None or frame[0] not in _HUFFMAN:
        return False
    # A file can repeat scans without end, each over the whole picture.
    single = frame[0] != 0xC2 and frame[1] == file.layers
    return single or area * data.count(b"\xff\xda") <= _AT_ONCE
