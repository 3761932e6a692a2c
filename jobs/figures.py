"""Tables as pictures, where their schema says how they are best seen (`vision.accumulator.plotted`)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa

from jobs import drawing, heat, lines, maps, matrices, rankings
from jobs.markup import section, table, titled

_BARS = 20
_PANELS = 4
"""As many pictures of a table as are seen at once; the others are folded."""

_CURVE = "The band holds the 95 % intervals; distances along the foot are ratios where all its values are above 0."
_LINES = "Bands are 95 % intervals."
_SCORES = "On the dashed line, a score can be taken at its word. Upright bars are 95 % intervals."
_RANKED = (
    "Bars are 95 % intervals, the dashed line is what each is to be compared with. Grey stands for insufficient data: "
    "below the minimum, or too few of the rarer outcome to be expected."
)
_MATRIX = (
    "A cell has the rate and its rows, n. The stronger the colour, the worse; without a better end, the higher. "
    "Hatched cells have insufficient data."
)


def kind(found: pa.Table) -> str | None:
    """What a table is drawn as, None for one that is read."""
    plot = (found.schema.metadata or {}).get(b"plot")
    return None if plot is None else json.loads(plot)["kind"]


def plot(name: str, found: pa.Table) -> str:
    """A table as a picture, or as a table where no picture is known for it."""
    asked = json.loads(found.schema.metadata[b"plot"])
    draw = _KINDS.get(asked["kind"])
    return table(name, found) if draw is None else draw(name, found, asked)


def _reliability(name: str, found: pa.Table, _asked: Mapping[str, Any]) -> str:
    columns = [_floats(found, part) for part in ("mean_score", "accuracy", "accuracy_low", "accuracy_high")]
    points = list(zip(*columns, found["n"].to_pylist(), strict=True))
    return _figure(name, drawing.reliability(points), _SCORES)


def _bars(name: str, found: pa.Table, asked: Mapping[str, Any]) -> str:
    labels = map(str, found[asked["label"]].to_pylist())
    rows = list(zip(labels, _floats(found, asked["value"]), strict=True))
    rest = len(rows) - _BARS
    return _figure(name, drawing.bars(rows[:_BARS]), f"and {rest:,} more" if rest > 0 else "") if rows else ""


def _curve(name: str, found: pa.Table, asked: Mapping[str, Any]) -> str:
    line = list(zip(*(_floats(found, asked[part]) for part in ("x", "y", "low", "high")), strict=True))
    return _figure(name, drawing.curve(line, asked["x"], asked["y"]), _CURVE) + table(f"{name}_values", found)


def _lines(name: str, found: pa.Table, _asked: Mapping[str, Any]) -> str:
    return _figure(name, lines.picture(found), _LINES) + table(f"{name}_values", found)


def _ranked(name: str, found: pa.Table, asked: Mapping[str, Any]) -> str:
    panels = [(title, *rankings.picture(rows)) for title, rows in _panels(found, asked["panel"])]
    return _many(name, panels, _RANKED)


def _matrix(name: str, found: pa.Table, asked: Mapping[str, Any]) -> str:
    panels = [(title, *matrices.picture(rows)) for title, rows in _panels(found, asked["panel"])]
    return _many(name, panels, _MATRIX)


def _map(name: str, found: pa.Table, asked: Mapping[str, Any]) -> str:
    return _figure(name, *maps.picture(found), asked.get("of"))


def _heat(name: str, found: pa.Table, asked: Mapping[str, Any]) -> str:
    return _figure(name, *heat.picture(found), asked.get("of"))


_KINDS: Mapping[str, Callable[[str, pa.Table, Mapping[str, Any]], str]] = {
    "reliability": _reliability,
    "bars": _bars,
    "curve": _curve,
    "lines": _lines,
    "ranked": _ranked,
    "matrix": _matrix,
    maps.KIND: _map,
    "heat": _heat,
}


def _panels(found: pa.Table, column: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """The rows of each value of a column, in their order."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for row in found.to_pylist():
        parts.setdefault(str(row[column]), []).append(row)
    return list(parts.items())


def _many(name: str, panels: Sequence[tuple[str, str, str]], note: str) -> str:
    """(title, picture, what was left out) one below the other; all but the first few folded."""
    drawn = [
        f"<figure><h3>{escape(title)}</h3>{picture}<figcaption>{escape(rest)}</figcaption></figure>"
        for title, picture, rest in panels
    ]
    if not drawn:
        return ""
    rest = "".join(drawn[_PANELS:])
    summary = f"<summary>{escape(titled(name))}, {len(drawn) - _PANELS:,} more</summary>"
    folded = f"<details>{summary}{rest}</details>" if rest else ""
    return section(titled(name), f'<p class="soft">{escape(note)}</p>{"".join(drawn[:_PANELS])}{folded}')


def _figure(name: str, picture: str, note: str, of: str | None = None) -> str:
    """A picture with its caption; one of a single record bears its id, by which it is forgotten."""
    mark = f' data-id="{escape(of)}"' if of else ""
    return section(titled(name), f"<figure{mark}>{picture}<figcaption>{escape(note)}</figcaption></figure>")


def _floats(found: pa.Table, column: str) -> list[float]:
    """A column as floats; what is not known, and a column that is not there, is nan."""
    if column not in found.column_names:
        return [math.nan] * found.num_rows
    return [math.nan if value is None else float(value) for value in found[column].to_pylist()]
