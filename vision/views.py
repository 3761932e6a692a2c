"""Pillow pictures over memory that is already there, so that no pixel is copied to be looked at.

Pillow keeps RGB in four bytes a pixel and lends or takes such memory by Arrow's interface. What shares memory here is
only read.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[Any]


def over(pixels: Array) -> Image.Image:
    """The picture that `pixels` hold: (H, W, 4) uint8 as RGB and a byte unused, or (H, W) uint8 grey; contiguous."""
    size = pixels.shape[1], pixels.shape[0]
    return _over(pixels, pixels.nbytes, "L" if pixels.ndim == 2 else "RGB", size)


def rows(image: Image.Image, top: int, bottom: int) -> Image.Image | None:
    """The rows from `top` to before `bottom`; None where Pillow holds a large picture in several pieces of memory.

    Args:
        image: mode "RGB" or "L".
    """
    import pyarrow as pa

    try:
        memory = pa.array(image).buffers()[-1]
    except ValueError:
        return None
    line = image.width * (1 if image.mode == "L" else 4)
    return _over(memory.slice(top * line, (bottom - top) * line), None, image.mode, (image.width, bottom - top))


def _over(memory: Any, count: int | None, mode: str, size: tuple[int, int]) -> Image.Image:
    import pyarrow as pa

    buffer = memory if count is None else pa.py_buffer(memory)
    return Image.fromarrow(pa.Array.from_buffers(pa.uint8(), buffer.size, [None, buffer]), mode, size)
