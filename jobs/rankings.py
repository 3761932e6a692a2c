"""Groups in their order with intervals, one below the other: who is worst, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from jobs.drawing import close_scale, svg, text
from vision.accumulator import Estimate

MOST = 30
"""Groups of a picture; a longer list is read as a table."""

_WIDE, _RIGHT, _ROW, _TOP = 420, 150, 22, 6
_LETTERS, _LETTER = 44, 7.3  # of a label, and pixels of each at most


def picture(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The groups as they come, with their intervals as bars and `line` to compare with.

    Args:
        rows: `group`, `value`, `low`, `high` and `line` (None where they are not known), `n`, and `insufficient`.

    Returns:
        The picture, and what of the rows is not in it.
    """
    shown = rows[:MOST]
    left = 20 + _LETTER * max((len(_short(str(row["group"]))) for row in shown), default=0)
    axis = _Axis.round_about(shown, left)
    foot = _TOP + _ROW * len(shown)
    parts = []
    for value in axis.ticks:
        x = axis.x(value)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{foot + 4}"/>')
        parts.append(text(x, foot + 17, f"{value:g}", "middle"))
    for place, row in enumerate(shown):
        parts += _row(row, _TOP + _ROW * place, axis)
    rest = len(rows) - len(shown)
    label = f"{len(shown)} groups with their intervals"
    return svg(left + _WIDE + _RIGHT, foot + 24, label, parts), f"and {rest:,} more in the table" if rest > 0 else ""


def _row(row: Mapping[str, Any], y: float, axis: _Axis) -> list[str]:
    """One group: its name, bar, dot, line and number of rows."""
    value, low, high, line = (_float(row[name]) for name in ("value", "low", "high", "line"))
    grey = " grey" if row["insufficient"] else ""
    middle = y + _ROW / 2
    name = escape(_short(str(row["group"])))
    parts = [f'<text class="name" x="{axis.left - 10:.1f}" y="{middle + 4}" text-anchor="end">{name}</text>']
    if math.isfinite(low + high):
        x = axis.x(low)
        width = max(1.0, axis.x(high) - x)
        parts.append(f'<rect class="span{grey}" x="{x:.1f}" y="{y + 6}" width="{width:.1f}" height="{_ROW - 12}"/>')
    if math.isfinite(line):
        x = axis.x(line)
        parts.append(f'<line class="whole" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + _ROW}"/>')
    words = f"n {row['n']:,}"
    if math.isfinite(value):
        parts.append(f'<circle class="dot{grey}" cx="{axis.x(value):.1f}" cy="{middle}" r="3.5"/>')
        words = f"{value:.3f} · {words}"
    parts.append(text(axis.left + _WIDE + 14, middle + 4, words, "start"))
    return parts


@dataclass(frozen=True)
class _Axis:
    """What is drawn where: from `low` at `left` pixels to `high`."""

    low: float
    high: float
    left: float

    @classmethod
    def round_about(cls, rows: Sequence[Mapping[str, Any]], left: float) -> _Axis:
        """Just round what is drawn; shares and rates never leave 0..1."""
        drawn = [Estimate(_float(row["value"]), _float(row["low"]), _float(row["high"]), 0) for row in rows]
        drawn += [Estimate(_float(row["line"]), math.nan, math.nan, 0) for row in rows]
        low, high = close_scale(drawn)
        inside = all(0 <= x <= 1 for e in drawn for x in e[:3] if math.isfinite(x))
        return cls(max(0.0, low), min(1.0, high), left) if inside else cls(low, high, left)

    def x(self, value: float) -> float:
        """Where a value stands, in pixels."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.left + min(1.0, max(0.0, share)) * _WIDE

    @property
    def ticks(self) -> list[float]:
        """Round numbers within the axis, four to ten of them."""
        span = self.high - self.low
        if not span > 0:
            return [self.low]
        step = 10.0 ** math.floor(math.log10(span))
        step = next(step / part for part in (1, 2, 5, 10) if span / (step / part) >= 4)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def _short(words: str) -> str:
    return words if len(words) <= _LETTERS else words[: _LETTERS - 1] + "…"


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)
