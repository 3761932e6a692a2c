"""Maps in a report's page: cells of the globe by colour, lines over it, as inline SVG on a grid of degrees.

No coast line is drawn: none can be computed, and those that can be had belong to somebody. The grid has a line each 30
degrees; for more, `--geojson` writes the same map for a map program. Degrees are as wide as high (plate carrée), so
cells near the poles look wider than they are.

Colours are classes of the page's style sheet, so that a map follows its light or dark side: the stronger, the more.
Cells too small to be seen are drawn together, by the sums of what they hold: GeoEstimation's 3,298 cells take about a
second and 260 kB.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.drawing import svg, text
from vision.accumulator import Array

KIND = "map"
_DEGREE = 2.55  # pixels
_LEFT, _TOP = 34, 8
_SMALLEST = 7
"""The level whose cells, with edges of 70 km, are a pixel and a half high."""

_MOST = 6000  # shapes of a map
_TITLED = 1500  # shapes that say what they are under the pointer
_STEPS = 5  # of the legend
_PALEST = 0.12
_FAR = "#d55e00"  # orange that the colour-blind see as different (Okabe & Ito)


def picture(table: pa.Table) -> tuple[str, str]:
    """The map of a table as SVG, and its caption.

    Args:
        table: as `vision.geolocation.drawn.mapped` marks it.
    """
    plot = json.loads(table.schema.metadata[b"plot"])
    parts, note = [*_frame()], str(plot["note"])
    if plot["shape"] == "cells":
        shown = _Cells.of(table, plot)
        parts += [*shown.shapes(), *_legend(shown)]
        note += " Cells too small to be seen are drawn together." if shown.merged else ""
    else:
        parts += _lines(table, float(plot["near_km"]))
    parts += _marks(plot.get("marks") or {})
    wide, high = _x(180) + 14, _y(-90) + (56 if plot["shape"] == "cells" else 22)
    return svg(wide, high, note, parts), note


def save(folder: str, tables: Mapping[str, pa.Table]) -> list[str]:
    """Write each map among tables as `NAME.geojson` into a folder or URL; the places written."""
    from vision.geolocation.geojson import geojson

    places = []
    for name, table in tables.items():
        if json.loads((table.schema.metadata or {}).get(b"plot", b"{}")).get("kind") == KIND:
            places.append(storage.join(storage.absolute(folder), f"{name}.geojson"))
            with storage.upload(places[-1]) as stream:
                for line in geojson(table):
                    stream.write(line.encode())
    return places


def _x(longitude: float) -> float:
    return _LEFT + (longitude + 180) * _DEGREE


def _y(latitude: float) -> float:
    return _TOP + (90 - latitude) * _DEGREE


def _frame() -> Iterator[str]:
    """The grid of degrees, with the equator and the first meridian as full lines."""
    for longitude in range(-180, 181, 30):
        style = "axis" if longitude else "whole"
        yield f'<line class="{style}" x1="{_x(longitude):.1f}" x2="{_x(longitude):.1f}" y1="{_y(90)}" y2="{_y(-90)}"/>'
        if longitude % 60 == 0:
            yield text(_x(longitude), _y(-90) + 14, _degrees(longitude, "EW"), "middle")
    for latitude in range(-90, 91, 30):
        style = "axis" if latitude else "whole"
        yield f'<line class="{style}" x1="{_x(-180)}" x2="{_x(180)}" y1="{_y(latitude):.1f}" y2="{_y(latitude):.1f}"/>'
        yield text(_x(-180) - 5, _y(latitude) + 4, _degrees(latitude, "NS"), "end")


def _degrees(value: int, names: str) -> str:
    return f"{abs(value)}°{'' if value % 180 == 0 else names[value < 0]}"


@dataclass(frozen=True, eq=False)
class _Cells:
    """Cells that can be seen, with the numbers that colour them.

    Attributes:
        ids: (M,) uint64.
        values: (M,) float64; how strong they are drawn lies between `ends`.
        says: what each is, for the pointer.
        merged: whether some stand for several that are too small.
    """

    ids: Array
    values: Array
    ends: tuple[float, float]
    logarithmic: bool
    says: Sequence[str]
    merged: bool

    @classmethod
    def of(cls, table: pa.Table, plot: Mapping[str, Any]) -> _Cells:
        from vision.geolocation import s2

        ids = s2.from_tokens(table["token"].to_pylist())
        part = np.asarray(table[plot["part"]].to_numpy(), np.float64)
        whole = np.asarray(table[plot["whole"]].to_numpy(), np.float64) if plot.get("whole") else None
        seen, places = _seen(ids)
        values: Array = np.bincount(places, part, len(seen))
        says: list[str] = []
        if whole is not None:
            sums = np.bincount(places, whole, len(seen))
            says = [f"{a:,.0f} of {b:,.0f}" for a, b in zip(values, sums, strict=True)]
            values = values / sums
        says = says or [f"{value:,.4g}" for value in values]
        ends = (0.0, 1.0) if whole is not None else (float(values.min()), float(values.max()))
        return cls(seen, values, ends, bool(plot.get("logarithmic")), says, len(seen) < len(ids))

    def strength(self, values: Array) -> Array:
        """(M,) how strong values are drawn, `_PALEST` to 1."""
        low, high = self.ends
        if self.logarithmic:
            values, low, high = np.log(np.maximum(values, 1e-12)), math.log(max(low, 1e-12)), math.log(max(high, 1e-12))
        share = (values - low) / (high - low) if high > low else np.ones(len(values))
        found: Array = _PALEST + (1 - _PALEST) * np.clip(share, 0.0, 1.0)
        return found

    def shapes(self) -> Iterator[str]:
        """The cells, the palest first, so that a strong one is never hidden."""
        from vision.geolocation import s2
        from vision.geolocation.outlines import outline

        strength, tokens, titled = self.strength(self.values), s2.tokens(self.ids), len(self.ids) <= _TITLED
        # Neighbours of one strength are told apart by a line, as long as there is room for lines.
        edge = ' style="stroke:var(--paper);stroke-width:.5"' if titled else ""
        for row in np.argsort(strength, kind="stable"):
            rings = outline(self.ids[row : row + 1])
            path = "".join(f"M{'L'.join(f'{_x(a):.1f} {_y(b):.1f}' for a, b in ring[:-1])}Z" for ring in rings)
            title = f"<title>{tokens[row]}: {escape(self.says[row])}</title>" if titled else ""
            shape = f'<path class="dot"{edge} fill-opacity="{strength[row]:.2f}" d="{path}"'
            yield f"{shape}>{title}</path>" if title else f"{shape}/>"


def _seen(ids: Array) -> tuple[Array, Array]:
    """Cells large enough to be seen, (S,) uint64, and for each of `ids` (M,) int64 which of them stands for it."""
    from vision.geolocation import s2

    levels = s2.level(ids)
    for most in range(_SMALLEST, -1, -1):
        shown = np.where(levels > most, s2.parent(ids, most), ids)
        seen, places = np.unique(shown, return_inverse=True)
        if len(seen) <= _MOST:
            break
    return seen, places.reshape(-1)


def _legend(shown: _Cells) -> Iterator[str]:
    low, high = shown.ends
    if shown.logarithmic:
        values = np.exp(np.linspace(math.log(max(low, 1e-12)), math.log(max(high, 1e-12)), _STEPS))
    else:
        values = np.linspace(low, high, _STEPS)
    top, wide = _y(-90) + 24, 70
    for step, (value, strength) in enumerate(zip(values, shown.strength(values), strict=True)):
        left = _x(-180) + step * wide
        box = f'x="{left:.1f}" y="{top:.1f}" width="{wide}" height="12"'
        yield f'<rect class="dot" fill-opacity="{strength:.2f}" {box}/>'
        yield text(left + wide / 2, top + 26, f"{value:,.0f}" if value >= 100 else f"{value:.2g}", "middle")


def _lines(table: pa.Table, near_km: float) -> Iterator[str]:
    """Lines of photos placed far off first, so that the good ones are on top."""
    rows = sorted(table.to_pylist(), key=lambda row: -row["km"])
    for row in rows:
        # A photo's id stands with what shows it, by which it is forgotten.
        yield f'<g data-id="{escape(row["id"])}">{"".join(_line(row, near_km))}</g>'


def _line(row: Mapping[str, Any], near_km: float) -> Iterator[str]:
    from vision.geolocation.answers import NEEDS
    from vision.geolocation.arcs import arc

    latitude, longitude, said_latitude, said_longitude = (row[name] for name in NEEDS)
    colour = "" if (near := row["km"] <= near_km) else f"stroke:{_FAR};"
    for line in arc((latitude, longitude), (said_latitude, said_longitude)):
        path = "L".join(f"{_x(a):.1f} {_y(b):.1f}" for a, b in line)
        yield f'<path class="line" style="{colour}stroke-width:.8" opacity="0.5" d="M{path}"/>'
    ring = f'style="{colour}stroke-width:.8" cx="{_x(said_longitude):.1f}" cy="{_y(said_latitude):.1f}"'
    yield f'<circle class="line" {ring} r="2.2"/>'
    dot = 'class="dot"' if near else f'fill="{_FAR}"'
    yield f'<circle {dot} cx="{_x(longitude):.1f}" cy="{_y(latitude):.1f}" r="1.6"/>'


def _marks(marks: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """Places, each with a sign of its own, and what the signs mean at the foot."""
    for number, (name, (latitude, longitude)) in enumerate(marks.items()):
        yield _sign(number, _x(longitude), _y(latitude))
        foot = _x(180) - 130 * (len(marks) - number)
        yield _sign(number, foot, _y(-90) + 34)
        yield text(foot + 13, _y(-90) + 38, name, "start")


def _sign(number: int, x: float, y: float) -> str:
    """A cross for the first, a ring for the second, wider rings for more."""
    style = f'fill="none" stroke="{_FAR}" stroke-width="2"'
    if number:
        return f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="{3 + 3 * number}"/>'
    return f'<path {style} d="M{x - 7:.1f} {y:.1f}H{x + 7:.1f}M{x:.1f} {y - 7:.1f}V{y + 7:.1f}"/>'
