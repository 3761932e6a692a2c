"""What a picture's answer rests on, to look at: a map as inline SVG, and a picture with its map over it.

Blue speaks for the class, orange against it, as strong as the strongest place of either kind.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from jobs.drawing import svg, text
from vision.accumulator import Array

NOTE = (
    "By how many nats the log-probability of the class falls when a square is covered: the stronger the blue, the more "
    "the answer rests on that place; orange speaks against it."
)
_SIDE = 320  # pixels of the longer side
_LEFT, _TOP = 40, 8
_AGAINST = "#d55e00"
_FOR_RGB, _AGAINST_RGB = np.array([36.0, 87.0, 197.0]), np.array([213.0, 94.0, 0.0])
_COVER = 0.75  # of the picture that a strongest place hides


def picture(table: pa.Table) -> tuple[str, str]:
    """The map of a table (`vision.mapping.grid`) as SVG, and its caption."""
    plot = json.loads(table.schema.metadata[b"plot"])
    tops, lefts = (sorted(set(table[name].to_pylist())) for name in ("top", "left"))
    high, wide = tops[-1] + plot["square"], lefts[-1] + plot["square"]
    scale = _SIDE / max(high, wide)
    rows, columns = _bands(tops, high, scale), _bands(lefts, wide, scale)
    most = max(filter(math.isfinite, map(abs, table["drop"].to_pylist())), default=0.0) or 1.0
    parts = [f'<rect class="axis" fill="none" x="{_LEFT}" y="{_TOP}" width="{wide * scale}" height="{high * scale}"/>']
    for number, row in enumerate(table.to_pylist()):
        if math.isfinite(row["drop"]):
            (top, tall), (left, broad) = rows[number // len(lefts)], columns[number % len(lefts)]
            colour = 'class="dot"' if row["drop"] >= 0 else f'fill="{_AGAINST}"'
            place = f'x="{_LEFT + left:.1f}" y="{_TOP + top:.1f}" width="{broad:.1f}" height="{tall:.1f}"'
            said = f"{row['drop']:.3g} nats at {row['left']}, {row['top']}"
            strength = f'fill-opacity="{abs(row["drop"]) / most:.2f}"'
            parts.append(f"<rect {colour} {strength} {place}><title>{said}</title></rect>")
    parts += [text(_LEFT - 5, _TOP + at * scale + 4, str(at), "end") for at in (0, high)]
    parts += [text(_LEFT + at * scale, _TOP + high * scale + 16, str(at), "middle") for at in (0, wide)]
    parts.append(text(_LEFT + wide * scale + 12, _TOP + 12, f"strongest: {most:.3g} nats", "start"))
    return svg(_LEFT + wide * scale + 150, _TOP + high * scale + 24, NOTE, parts), NOTE


def _bands(starts: Sequence[int], whole: int, scale: float) -> list[tuple[float, float]]:
    """Where each place is drawn: from half way to the one before to half way to the one after, by middles."""
    middles = [start + (whole - starts[-1]) / 2 for start in starts]
    edges = [0.0, *((a + b) / 2 for a, b in pairwise(middles)), float(whole)]
    return [(a * scale, (b - a) * scale) for a, b in pairwise(edges)]


def overlay(pixels: Array, heat: Array, least_side: int = 128) -> bytes:
    """A picture with its map over it, as a JPEG; small ones are enlarged.

    Args:
        pixels: (h, w, 3) uint8, what the net saw.
        heat: (h, w), what each pixel is worth.
    """
    from PIL import Image

    most = float(np.abs(heat).max()) or 1.0
    strength = (np.abs(heat) / most * _COVER)[..., None]  # (h, w, 1)
    colour = np.where(heat[..., None] >= 0, _FOR_RGB, _AGAINST_RGB)
    # Grey below, so that colour says one thing only.
    grey = pixels.astype(np.float64).mean(axis=2, keepdims=True)
    mixed = np.rint(grey * (1 - strength) + colour * strength).astype(np.uint8)
    times = -(-least_side // max(mixed.shape[:2]))
    buffer = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(mixed, times, axis=0), times, axis=1)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
