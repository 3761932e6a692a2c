"""Small pictures for a report page, as inline SVG: intervals, a reliability diagram, bars, a curve.

Colours are classes of the page's style sheet, so that a picture follows its light or dark side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from vision.accumulator import Estimate

_WIDTH = 200  # of an interval
_ROW = 22  # height of a bar


def scale(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """The axis that shares and rates have in common (0..1), or one from 0 that holds all of `estimates`."""
    ends = [x for e in estimates for x in (e.value, e.low, e.high) if math.isfinite(x)]
    if not ends or (min(ends) >= 0 and max(ends) <= 1):
        return 0.0, 1.0
    return min(0.0, *ends), max(0.0, *ends) * 1.08


def close_scale(estimates: Sequence[Estimate]) -> tuple[float, float]:
    """An axis just round `estimates`, for comparing them with each other."""
    ends = [x for e in estimates for x in (e.value, e.low, e.high) if math.isfinite(x)]
    if not ends:
        return 0.0, 1.0
    margin = (max(ends) - min(ends)) * 0.04
    return min(ends) - margin, max(ends) + margin


def interval(estimate: Estimate, axis: tuple[float, float], whole: float | None = None) -> str:
    """A value as a dot within its interval as a bar; `whole` draws a dashed line to compare with."""
    if not math.isfinite(estimate.value):
        return ""
    dot = _place(estimate.value, axis)
    parts = [f'<line class="axis" x1="4" x2="{_WIDTH - 4}" y1="9" y2="9"/>']
    if math.isfinite(estimate.low) and math.isfinite(estimate.high):
        low, high = _place(estimate.low, axis), _place(estimate.high, axis)
        parts.append(
            f'<line class="range" x1="{low:.1f}" x2="{max(high, low + 1):.1f}" y1="9" y2="9" stroke-width="7"/>'
        )
    if whole is not None and math.isfinite(whole):
        x = _place(whole, axis)
        parts.append(f'<line class="whole" x1="{x:.1f}" x2="{x:.1f}" y1="1" y2="17"/>')
    parts.append(f'<circle class="dot" cx="{dot:.1f}" cy="9" r="3.5"/>')
    return svg(_WIDTH, 18, f"{estimate.value:.4g}", parts)


def reliability(points: Sequence[tuple[float, float, float, float, int]]) -> str:
    """How often answers of each score are right, and how many there are.

    Args:
        points: (score, share right, its low, its high, n) for each bin; shares and scores in 0..1.
    """
    left, top, side, tall = 44, 12, 320, 48
    foot = top + side + 84
    most = max((n for *_, n in points), default=0) or 1
    parts = [_frame(left, top, side), *_ticks(left, top, side)]
    parts.append(f'<line class="ideal" x1="{left}" x2="{left + side}" y1="{top + side}" y2="{top}"/>')
    for score, share, low, high, n in points:
        x, y = left + score * side, top + (1 - share) * side
        if math.isfinite(low) and math.isfinite(high):
            ends = f'y1="{top + (1 - low) * side:.1f}" y2="{top + (1 - high) * side:.1f}"'
            parts.append(f'<line class="range" x1="{x:.1f}" x2="{x:.1f}" {ends} stroke-width="6"/>')
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>{n:,} answers</title></circle>')
        height = tall * n / most
        parts.append(_bar(x - 7, foot - height, 14, height))
    parts += [
        f'<line class="axis" x1="{left}" x2="{left + side}" y1="{foot}" y2="{foot}"/>',
        text(left + side / 2, foot + 16, f"score of the answer; bars: answers, {most:,} at most", "middle"),
        f'<g transform="translate(12 {top + side / 2}) rotate(-90)">{text(0, 0, "share right", "middle")}</g>',
    ]
    return svg(left + side + 16, foot + 24, "reliability diagram", parts)


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """A bar for each (label, value); values from 0 up."""
    left, room = 250, 340
    most = max((value for _, value in rows if math.isfinite(value)), default=0) or 1
    parts = []
    for index, (label, value) in enumerate(rows):
        y = index * _ROW
        width = room * max(0.0, value) / most if math.isfinite(value) else 0
        short = label if len(label) <= 40 else label[:39] + "…"
        parts.append(text(left - 8, y + 15, short, "end"))
        parts.append(_bar(left, y + 3, width, _ROW - 6))
        parts.append(text(left + width + 6, y + 15, f"{value:,.6g}", "start"))
    return svg(left + room + 70, len(rows) * _ROW + 4, "bars", parts)


def curve(points: Sequence[tuple[float, float, float, float]], x_name: str, y_name: str) -> str:
    """A line through values in a band of their intervals.

    Args:
        points: (x, y, its low, its high) in the order of x; the foot is logarithmic where all x are above 0.
    """
    known = [point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])]
    left, top, wide, tall = 52, 12, 420, 240
    low, high = axis = close_scale([Estimate(y, low, high, 0) for _, y, low, high in known])
    up = {y: top + tall * (1 - (y - low) / ((high - low) or 1)) for point in known for y in point[1:]}
    feet = [left + 12 + share * (wide - 24) for share in _shares([x for x, *_ in known])]
    banded = [(foot, point) for foot, point in zip(feet, known, strict=True) if math.isfinite(point[2] + point[3])]
    edge = [(foot, up[p[2]]) for foot, p in banded] + [(foot, up[p[3]]) for foot, p in reversed(banded)]
    parts = [f'<rect class="axis" fill="none" x="{left}" y="{top}" width="{wide}" height="{tall}"/>']
    parts.append(f'<polygon class="band" points="{path(edge)}"/>')
    parts.append(f'<polyline class="line" points="{path([(f, up[p[1]]) for f, p in zip(feet, known, strict=True)])}"/>')
    for foot, (x, y, _, _) in zip(feet, known, strict=True):
        parts.append(f'<circle class="dot" cx="{foot:.1f}" cy="{up[y]:.1f}" r="3.5"><title>{y:.4g}</title></circle>')
        parts.append(text(foot, top + tall + 16, f"{x:g}", "middle"))
    for share in (0.0, 0.5, 1.0):
        value = axis[0] + share * (axis[1] - axis[0])
        parts.append(text(left - 6, top + (1 - share) * tall + 4, f"{value:.3g}", "end"))
    parts.append(text(left + wide / 2, top + tall + 34, x_name, "middle"))
    parts.append(f'<g transform="translate(12 {top + tall / 2}) rotate(-90)">{text(0, 0, y_name, "middle")}</g>')
    return svg(left + wide + 12, top + tall + 42, f"{y_name} by {x_name}", parts)


def _shares(values: Sequence[float]) -> list[float]:
    """Where ascending values lie between the first (0) and the last (1): by their ratios where all are above 0."""
    if not values:
        return []
    placed = [math.log(value) for value in values] if min(values) > 0 else list(values)
    return [(value - placed[0]) / ((placed[-1] - placed[0]) or 1) for value in placed]


def path(places: Sequence[tuple[float, float]]) -> str:
    """Places one after the other, as a line or an area takes them."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _place(value: float, axis: tuple[float, float]) -> float:
    low, high = axis
    share = (value - low) / (high - low) if high > low else 0.5
    return 4 + min(1.0, max(0.0, share)) * (_WIDTH - 8)


def _bar(x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="bar" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _frame(left: float, top: float, side: float) -> str:
    return f'<rect class="axis" fill="none" x="{left}" y="{top}" width="{side}" height="{side}"/>'


def _ticks(left: float, top: float, side: float) -> list[str]:
    marks = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        marks.append(text(left + share * side, top + side + 16, f"{share:g}", "middle"))
        marks.append(text(left - 6, top + (1 - share) * side + 4, f"{share:g}", "end"))
    return marks


def text(x: float, y: float, words: str, anchor: str) -> str:
    """Words at a place: `anchor` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    """A picture made of parts; `label` is for those who cannot see it."""
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )
