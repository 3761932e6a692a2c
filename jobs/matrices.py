"""Two columns against each other: a rate in every combination of their values, as a map of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from itertools import product
from typing import Any

from jobs.drawing import svg, text

MOST = (24, 12)
"""Rows and columns of a picture; more are read as a table."""

_TOP, _WIDE, _TALL, _GAP = 44, 84, 40, 2
_LETTERS, _LETTER = (22, 13), 7.3  # of a name down and across, and pixels of each at most
_PALE, _DEEP = 0.06, 0.62


def picture(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The cells of a table: the first column's values down, the second's across, as they first come.

    Args:
        rows: `down` and `across` (names of the columns), `row`, `column`, `value` (None: unknown), `n`,
            `insufficient`, and `worse`: "low", "high", or neither end.

    Returns:
        The picture, and what of the values is not in it.
    """
    sides = [list(dict.fromkeys(str(row[name]) for row in rows)) for name in ("row", "column")]
    kept = [side[:most] for side, most in zip(sides, MOST, strict=True)]
    places = [{value: index for index, value in enumerate(side)} for side in kept]
    known = [row["value"] for row in rows if row["value"] is not None and not row["insufficient"]]
    ends = (min(known), max(known)) if known else (0.0, 0.0)
    names = [*(_short(value, _LETTERS[0]) for value in kept[0]), f"{rows[0]['down']} ↓"]
    start = 20 + _LETTER * max(map(len, names))
    parts = _heads(rows[0], kept, start)
    drawn: set[tuple[int, int]] = set()
    for row in rows:
        down, across = places[0].get(str(row["row"])), places[1].get(str(row["column"]))
        if down is not None and across is not None:
            drawn.add((down, across))
            parts += _cell(row, start + across * _WIDE, _TOP + down * _TALL, ends)
    for down, across in sorted(set(product(*map(range, map(len, kept)))) - drawn):
        nobody = {"row": kept[0][down], "column": kept[1][across], "value": None, "n": 0, "insufficient": True}
        parts += _cell({**rows[0], **nobody, "low": None}, start + across * _WIDE, _TOP + down * _TALL, ends)
    left = [f"{len(side) - len(some):,} more values" for side, some in zip(sides, kept, strict=True) if side != some]
    size = (start + _WIDE * len(kept[1]) + 4, _TOP + _TALL * len(kept[0]) + 4)
    return svg(*size, f"{rows[0]['down']} by {rows[0]['across']}", parts), ", ".join(left)


def _heads(first: Mapping[str, Any], sides: Sequence[Sequence[str]], start: float) -> list[str]:
    """The names of the columns and of their values."""
    parts = [
        text(start + 2, 14, f"{first['across']} →", "start"),
        text(start - 10, _TOP - 10, f"{first['down']} ↓", "end"),
    ]
    for place, value in enumerate(sides[1]):
        parts.append(text(start + (place + 0.5) * _WIDE, _TOP - 10, _short(value, _LETTERS[1]), "middle"))
    for place, value in enumerate(sides[0]):
        parts.append(text(start - 10, _TOP + (place + 0.5) * _TALL + 4, _short(value, _LETTERS[0]), "end"))
    return parts


def _cell(row: Mapping[str, Any], x: float, y: float, ends: tuple[float, float]) -> list[str]:
    """One combination: its colour, the rate, and how many rows it rests on."""
    wide, tall = _WIDE - _GAP, _TALL - _GAP
    few = bool(row["insufficient"]) or row["value"] is None
    shade = f'fill-opacity="{_depth(row, ends):.3f}"'
    box = f'x="{x}" y="{y}" width="{wide}" height="{tall}"'
    number = "-" if row["value"] is None else f"{row['value']:.3f}"
    parts = [
        f'<rect class="{"few" if few else "heat"}" {"" if few else shade + " "}{box}><title>{_told(row)}</title></rect>'
    ]
    parts += _hatch(x, y, wide, tall) if few else []
    parts.append(f'<text class="{"soft" if few else "ink"}" x="{x + wide / 2}" y="{y + 17}" '
                 f'text-anchor="middle">{number}</text>')  # fmt: skip
    under, middle = "soft" if few else "under", x + wide / 2
    parts.append(f'<text class="{under}" x="{middle}" y="{y + 31}" text-anchor="middle">n {row["n"]:,}</text>')
    return parts


def _depth(row: Mapping[str, Any], ends: tuple[float, float]) -> float:
    """How dark a cell is: from the best to the worst that can be judged."""
    if row["value"] is None or ends[1] <= ends[0]:
        return _PALE
    share: float = min(1.0, max(0.0, (row["value"] - ends[0]) / (ends[1] - ends[0])))
    return _PALE + (_DEEP - _PALE) * (1 - share if row["worse"] == "low" else share)


def _hatch(x: float, y: float, wide: float, tall: float, step: float = 9.0) -> list[str]:
    """Slanted lines within a box: no pattern, which would be an address within the page."""
    found = []
    for start in range(1, math.ceil((wide + tall) / step)):
        at = start * step
        x1, y1 = (x + at, y) if at <= wide else (x + wide, y + at - wide)
        x2, y2 = (x, y + at) if at <= tall else (x + at - tall, y + tall)
        found.append(f'<line class="hatch" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    return found


def _told(row: Mapping[str, Any]) -> str:
    low, high = row.get("low"), row.get("high")
    limits = "" if low is None or high is None else f", {low:.3f} to {high:.3f}"
    few = ", insufficient data" if row["insufficient"] else ""
    return escape(f"{row['down']}={row['row']}, {row['across']}={row['column']}: n {row['n']:,}{limits}{few}")


def _short(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"
