"""Several curves in one picture: as inline SVG for a report's page, and as a PNG to send around.

Both are drawn from a table whose schema says `lines` (see `vision.accumulator.plotted`): the column `y` over `x` in
bands from `low` to `high`, a curve for each combination of the columns `series`. Where `x` is no number its values
stand beside each other in the order of the table. Colours differ for those who see few of them, and dashes differ too.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.drawing import path, svg, text

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b")
"""Seen as different by the colour-blind. Reference: Okabe & Ito, "Color universal design", 2008."""

_DASHES = ("", "6 3", "2 3", "8 3 2 3")
_MOST = 24  # curves of a picture; more cannot be told apart
Point = tuple[float, float, float, float]


@dataclass(frozen=True)
class Curves:
    """What is drawn: (x, y, low, high) by name, and what the values of x are called where they are no numbers."""

    x: str
    y: str
    logarithmic: bool
    stretched: bool
    lines: Mapping[str, Sequence[Point]]
    words: tuple[str, ...] = ()
    left_out: int = 0

    @classmethod
    def of(cls, table: pa.Table) -> Curves:
        """The curves that a table says it holds; values that are not known are left out."""
        plot = json.loads(table.schema.metadata[b"plot"])
        feet, words = _feet(table[plot["x"]])
        found: dict[str, list[Point]] = {}
        for foot, row in zip(feet, table.to_pylist(), strict=True):
            y, low, high = (_float(row.get(plot[part])) for part in ("y", "low", "high"))
            if math.isfinite(foot) and math.isfinite(y) and not (plot["logarithmic"] and y <= 0):
                name = ", ".join(_word(row[column]) for column in plot["series"] if row[column] is not None)
                found.setdefault(name, []).append((foot, y, low, high))
        kept = {name: sorted(points) for name, points in list(found.items())[:_MOST]}
        how = bool(plot["logarithmic"]), bool(plot["stretched"])
        return cls(plot["x"], plot["y"], *how, kept, words, len(found) - len(kept))


def _feet(column: pa.ChunkedArray) -> tuple[list[float], tuple[str, ...]]:
    """Where values stand, and their names where they are no numbers."""
    values = column.to_pylist()
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return [_float(value) for value in values], ()
    words = tuple(dict.fromkeys("-" if value is None else str(value) for value in values))
    return [float(words.index("-" if value is None else str(value))) for value in values], words


def picture(table: pa.Table) -> str:
    """The curves of a table as SVG."""
    curves = Curves.of(table)
    left, top, wide, tall = 62, 12, 420, 260
    across, up = _axis(curves, 0, wide - 24), _axis(curves, 1, tall - 16)
    parts = [f'<rect class="axis" fill="none" x="{left}" y="{top}" width="{wide}" height="{tall}"/>']
    for number, (name, points) in enumerate(curves.lines.items()):
        places = [(left + 12 + across.place(x), top + tall - 8 - up.place(y)) for x, y, _, _ in points]
        banded = [(x, low, high) for x, _, low, high in points if math.isfinite(low + high)]
        edge = [(left + 12 + across.place(x), top + tall - 8 - up.place(low)) for x, low, _ in banded]
        edge += [(left + 12 + across.place(x), top + tall - 8 - up.place(high)) for x, _, high in reversed(banded)]
        parts += _curve(number, name, places, edge, left + wide + 14, top + 14 + 17 * number)
    parts += [text(left + 12 + across.place(value), top + tall + 16, name, "middle") for value, name in across.ticks]
    parts += [text(left - 6, top + tall - 4 - up.place(value), name, "end") for value, name in up.ticks]
    parts.append(text(left + wide / 2, top + tall + 34, curves.x, "middle"))
    parts.append(f'<g transform="translate(12 {top + tall / 2}) rotate(-90)">{text(0, 0, curves.y, "middle")}</g>')
    if curves.left_out:
        number = len(curves.lines)
        parts.append(text(left + wide + 14, top + 14 + 17 * number, f"and {curves.left_out} more", "start"))
    room = 24 + 7 * max((len(name) for name in curves.lines), default=0)
    high = max(top + tall + 42, top + 20 + 17 * (len(curves.lines) + 1))
    return svg(left + wide + 14 + room, high, f"{curves.y} by {curves.x}", parts)


def _curve(
    number: int,
    name: str,
    places: Sequence[tuple[float, float]],
    edge: Sequence[tuple[float, float]],
    x: float,
    y: float,
) -> list[str]:
    """A band, a line, its dots where they are few, and its name in the legend."""
    colour, dashes = COLOURS[number % len(COLOURS)], _DASHES[number // len(COLOURS) % len(_DASHES)]
    style = f'stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dashes}"'
    parts = [f'<polygon fill="{colour}" opacity="0.15" points="{path(edge)}"/>'] if len(edge) > 2 else []
    parts.append(f'<polyline fill="none" {style} points="{path(places)}"/>')
    if len(places) <= 40:
        parts += [f'<circle fill="{colour}" cx="{left:.1f}" cy="{up:.1f}" r="2.8"/>' for left, up in places]
    if name:
        parts += [f'<line {style} x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}"/>', text(x + 23, y, name, "start")]
    return parts


@dataclass(frozen=True)
class _Axis:
    """Where values lie on an axis, and which have names."""

    low: float
    high: float
    length: float
    logarithmic: bool
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: float) -> float:
        low, high, at = (self._scaled(number) for number in (self.low, self.high, value))
        return self.length * (0.5 if high <= low else min(1.0, max(0.0, (at - low) / (high - low))))

    def _scaled(self, value: float) -> float:
        return math.log(max(value, 1e-300)) if self.logarithmic else value


def _axis(curves: Curves, part: int, length: float) -> _Axis:
    """The axis of x (part 0) or of y (1)."""
    points = [point for line in curves.lines.values() for point in line]
    values = sorted({point[part] for point in points}) or [0.0, 1.0]
    if part == 0 and curves.words:
        named = tuple((float(number), word) for number, word in enumerate(curves.words))
        return _Axis(0.0, float(len(named) - 1), length, False, named)
    if part == 1:
        ends = [end for point in points for end in point[1:] if math.isfinite(end)] or [0.0, 1.0]
        ends = [end for end in ends if end > 0] if curves.logarithmic else ends
        low, high, logarithmic = min(ends), max(ends), curves.logarithmic
    else:
        low, high = values[0], values[-1]
        logarithmic = curves.stretched and low > 0
    between = [low, math.sqrt(low * high) if logarithmic else (low + high) / 2, high]
    marked = values if part == 0 and len(values) <= 8 else between
    return _Axis(low, high, length, logarithmic, tuple((value, f"{value:.3g}") for value in dict.fromkeys(marked)))


def png(table: pa.Table, title: str) -> bytes:
    """The curves of a table as a PNG of 1,170 x 620 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = Curves.of(table)
    figure = Figure(figsize=(9, 4.8), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    for number, (name, points) in enumerate(curves.lines.items()):
        xs, ys, lows, highs = (list(column) for column in zip(*points, strict=True))
        colour, style = COLOURS[number % len(COLOURS)], ("-", "--", ":", "-.")[number // len(COLOURS) % 4]
        marker = "o" if len(points) <= 40 else None
        axes.plot(xs, ys, style, color=colour, marker=marker, ms=4, lw=1.4, label=name or None)
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.15, linewidth=0)
    _finish(axes, curves, title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _finish(axes: Any, curves: Curves, title: str) -> None:
    across = _axis(curves, 0, 1.0)
    if across.logarithmic:
        axes.set_xscale("log")
    if curves.logarithmic:
        axes.set_yscale("log")
    if curves.words or across.logarithmic:
        axes.set_xticks([value for value, _ in across.ticks], [name for _, name in across.ticks])
        axes.minorticks_off()
    axes.set(xlabel=curves.x, ylabel=curves.y, title=title)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)
