"""Groups in their order with intervals, one below the other: who is worst, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.drawing import close_scale, svg, text
from vision.accumulator import Estimate

MOST = 30
"""Groups of a picture; a longer list is read as a table."""

_LEFT, _WIDE, _RIGHT, _ROW, _TOP = 270, 400, 150, 22, 6
_LETTERS = 44  # of a label


def picture(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The groups as they come, with their intervals as bars and `line` to compare with.

    Args:
        rows: `group`, `value`, `low`, `high` and `line` (None where they are not known), `n`, and `insufficient`.

    Returns:
        The picture, and what of the rows is not in it.
    """
    shown = rows[:MOST]
    axis = _axis(shown)
    ticks = _ticks(axis)
    foot = _TOP + _ROW * len(shown)
    parts = []
    for value in ticks:
        x = _x(value, axis)
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{foot + 4}"/>')
        parts.append(text(x, foot + 17, f"{value:g}", "middle"))
    for place, row in enumerate(shown):
        parts += _row(row, _TOP + _ROW * place, axis)
    rest = len(rows) - len(shown)
    label = f"{len(shown)} groups with their intervals"
    return svg(_LEFT + _WIDE + _RIGHT, foot + 24, label, parts), f"and {rest:,} more in the table" if rest > 0 else ""


def _row(row: Mapping[str, Any], y: float, axis: tuple[float, float]) -> list[str]:
    """One group: its name, bar, dot, line and number of rows."""
    value, low, high, line = (_float(row[name]) for name in ("value", "low", "high", "line"))
    grey = " grey" if row["insufficient"] else ""
    middle = y + _ROW / 2
    parts = [text(_LEFT - 10, middle + 4, _short(str(row["group"])), "end")]
    if math.isfinite(low + high):
        x = _x(low, axis)
        width = max(1.0, _x(high, axis) - x)
        parts.append(f'<rect class="span{grey}" x="{x:.1f}" y="{y + 6}" width="{width:.1f}" height="{_ROW - 12}"/>')
    if math.isfinite(line):
        x = _x(line, axis)
        parts.append(f'<line class="whole" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + _ROW}"/>')
    words = f"n {row['n']:,}"
    if math.isfinite(value):
        parts.append(f'<circle class="dot{grey}" cx="{_x(value, axis):.1f}" cy="{middle}" r="3.5"/>')
        words = f"{value:.3f} · {words}"
    parts.append(text(_LEFT + _WIDE + 14, middle + 4, words, "start"))
    return parts


def _axis(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Just round what is drawn; shares and rates never leave 0..1."""
    estimates = [Estimate(_float(row["value"]), _float(row["low"]), _float(row["high"]), 0) for row in rows]
    estimates += [Estimate(_float(row["line"]), math.nan, math.nan, 0) for row in rows]
    low, high = close_scale(estimates)
    inside = all(0 <= x <= 1 for e in estimates for x in e[:3] if math.isfinite(x))
    return (max(0.0, low), min(1.0, high)) if inside else (low, high)


def _ticks(axis: tuple[float, float]) -> list[float]:
    """Round numbers within an axis, four to ten of them."""
    span = axis[1] - axis[0]
    if not span > 0:
        return [axis[0]]
    step = 10.0 ** math.floor(math.log10(span))
    step = next(step / part for part in (1, 2, 5, 10) if span / (step / part) >= 4)
    first, last = math.ceil(axis[0] / step - 1e-9), math.floor(axis[1] / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def _x(value: float, axis: tuple[float, float]) -> float:
    share = (value - axis[0]) / (axis[1] - axis[0]) if axis[1] > axis[0] else 0.5
    return _LEFT + min(1.0, max(0.0, share)) * _WIDE


def _short(words: str) -> str:
    return words if len(words) <= _LETTERS else words[: _LETTERS - 1] + "…"


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)
