"""A report as one HTML page that needs nothing else: no script, no address, pictures inside.

It knows estimates, tables, groups and examples, and no task. A table whose schema says how it is best seen
(`vision.accumulator.plotted`) is drawn.
"""

from __future__ import annotations

import base64
import json
import math
import platform
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from string import Template
from typing import Any

import pyarrow as pa

from jobs import drawing, lines
from jobs.spec import Example, Report
from vision.accumulator import Estimate

ROWS = 50
"""As much of a table as the page shows."""

GROUP_METRICS = 3
_BARS = 20
_CURVE = "The band holds the 95 % intervals; distances along the foot are ratios where all its values are above 0."
_LINES = "Bands are 95 % intervals."
_SHORT = 12  # rows; a longer table is folded
_PACKAGES = ("safelight", "torch", "torchvision", "ray", "numpy", "pyarrow")


def render(report: Report, title: str, fields: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        title: the heading.
        fields: what was asked for, by name.
    """
    sections = [
        _notes(report.notes),
        _metrics(report.metrics),
        *(_plot(name, table) for name, table in report.tables.items() if _kind(table)),
        _groups(report),
        _examples(report.examples),
        *(_table(name, table) for name, table in report.tables.items() if not _kind(table)),
        _pairs("Fields", fields),
        _pairs("Facts", report.tags),
    ]
    page = Template(files("jobs").joinpath("page.html").read_text(encoding="utf-8"))
    body = "\n".join(section for section in sections if section)
    return page.substitute(title=escape(title), summary=_summary(report), body=body, footer=_footer())


def number(value: float | None) -> str:
    """A number as it is read: four digits, thousands apart, a dash for none.

    >>> number(0.846666), number(1234567), number(1.0), number(2e-9), number(float("nan"))
    ('0.8467', '1,234,567', '1.0000', '2.00e-09', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if 0 < abs(value) < 5e-5:
        return f"{value:.2e}"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:,.4g}"


def _summary(report: Report) -> str:
    lines = []
    if report.output is not None:
        lines.append(f'<p class="soft">Output: <span class="mono">{escape(report.output)}</span></p>')
    if report.errors:
        lines.append(f'<p class="soft">{report.errors:,} records could not be answered.</p>')
    return "".join(lines)


def _notes(notes: Sequence[str]) -> str:
    return f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""


def _metrics(metrics: Mapping[str, Estimate]) -> str:
    """Estimates with their intervals; those between 0 and 1 share an axis."""
    shown = list(metrics.items())[:ROWS]
    rows = []
    for name, estimate in shown:
        rows.append(
            f'<tr><td>{escape(name)}</td><td class="number value">{number(estimate.value)}</td>'
            f"<td>{drawing.interval(estimate, drawing.scale([estimate]))}</td>"
            f'<td class="number">{_range(estimate)}</td><td class="number">{estimate.n:,}</td></tr>'
        )
    head = _head([("Metric", ""), ("Value", "number"), ("", ""), ("95 % interval", "number"), ("n", "number")])
    return _section("Metrics", _grid(head, rows, len(metrics))) if rows else ""


def _groups(report: Report) -> str:
    """A row a group, the first metrics beside each other, each against the whole."""
    if not report.groups:
        return ""
    names = [n for n in report.metrics if any(n in m for _, m in report.groups)] or list(report.groups[0][1])
    names = names[:GROUP_METRICS]
    everyone = [report.metrics, *(metrics for _, metrics in report.groups)]
    axes = {name: drawing.close_scale([m[name] for m in everyone if name in m]) for name in names}
    head = _head([("Group", ""), *(pair for name in names for pair in ((name, "number"), ("", ""))), ("n", "number")])
    rows = [_group_row("all", report.metrics, axes, report.metrics)]
    for by, metrics in report.groups[:ROWS]:
        label = ", ".join(f"{column} = {value}" for column, value in by.items())
        rows.append(_group_row(label, metrics, axes, report.metrics))
    note = '<p class="soft">Each metric has an axis of its own; the dashed line is the value over all records.</p>'
    return _section("Groups", _grid(head, rows, len(report.groups), shown=len(rows) - 1) + note)


def _group_row(
    label: str, metrics: Mapping[str, Estimate], axes: Mapping[str, tuple[float, float]], whole: Mapping[str, Estimate]
) -> str:
    cells, n = [f'<td class="group">{escape(label)}</td>'], 0
    for name, axis in axes.items():
        estimate = metrics.get(name)
        if estimate is None:
            cells.append('<td class="number">-</td><td></td>')
            continue
        n = max(n, estimate.n)
        line = whole[name].value if name in whole else None
        title = f' title="{escape(_range(estimate))}"'
        cells.append(f'<td class="number value"{title}>{number(estimate.value)}</td>')
        cells.append(f"<td>{drawing.interval(estimate, axis, line)}</td>")
    mark = ' class="whole"' if metrics is whole else ""
    return f'<tr{mark}>{"".join(cells)}<td class="number">{n:,}</td></tr>'


def _plot(name: str, table: pa.Table) -> str:
    """A table as a picture, or as a table where no picture is known for it."""
    plot = json.loads(table.schema.metadata[b"plot"])
    if plot["kind"] == "reliability":
        columns = [_floats(table, name) for name in ("mean_score", "accuracy", "accuracy_low", "accuracy_high")]
        points = list(zip(*columns, table["n"].to_pylist(), strict=True))
        note = "On the dashed line, a score can be taken at its word. Upright bars are 95 % intervals."
        return _figure(name, drawing.reliability(points), note)
    if plot["kind"] == "bars":
        labels = map(str, table[plot["label"]].to_pylist())
        rows = list(zip(labels, _floats(table, plot["value"]), strict=True))
        rest = len(rows) - _BARS
        return _figure(name, drawing.bars(rows[:_BARS]), f"and {rest:,} more" if rest > 0 else "") if rows else ""
    if plot["kind"] == "curve":
        line = list(zip(*(_floats(table, plot[part]) for part in ("x", "y", "low", "high")), strict=True))
        return _figure(name, drawing.curve(line, plot["x"], plot["y"]), _CURVE) + _table(f"{name}_values", table)
    if plot["kind"] == "lines":
        return _figure(name, lines.picture(table), _LINES) + _table(f"{name}_values", table)
    return _table(name, table)


def _figure(name: str, picture: str, note: str) -> str:
    return _section(_titled(name), f"<figure>{picture}<figcaption>{escape(note)}</figcaption></figure>")


def _floats(table: pa.Table, column: str) -> list[float]:
    """A column as floats; what is not known, and a column that is not there, is nan."""
    if column not in table.column_names:
        return [math.nan] * table.num_rows
    return [math.nan if value is None else float(value) for value in table[column].to_pylist()]


def _table(name: str, table: pa.Table) -> str:
    right = [pa.types.is_integer(t) or pa.types.is_floating(t) for t in table.schema.types]
    head = _head([(column, "number" if r else "") for column, r in zip(table.column_names, right, strict=True)])
    rows = [
        "".join(
            f'<td class="number">{_cell(value)}</td>' if r else f"<td>{_cell(value)}</td>"
            for value, r in zip(row.values(), right, strict=True)
        )
        for row in table.slice(0, ROWS).to_pylist()
    ]
    grid = _grid(head, [f"<tr>{row}</tr>" for row in rows], table.num_rows)
    if table.num_rows <= _SHORT:
        return _section(_titled(name), grid)
    summary = f"<summary>{escape(_titled(name))} <span class='soft'>{table.num_rows:,} rows</span></summary>"
    return f"<details>{summary}{grid}</details>"


def _examples(examples: Sequence[Example]) -> str:
    figures = [
        f'<figure><img alt="{escape(example.id)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(example.jpeg).decode()}"><figcaption>{escape(example.caption)}'
        f'<span class="id mono">{escape(example.id)}</span></figcaption></figure>'
        for example in examples[:ROWS]
    ]
    return _section("Images worth a look", f'<div class="examples">{"".join(figures)}</div>') if figures else ""


def _pairs(title: str, pairs: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><td>{escape(str(name))}</td><td class="mono">{escape(str(value))}</td></tr>'
        for name, value in pairs.items()
        if value not in (None, "", (), [])
    ]
    return _section(title, f'<table class="fields">{"".join(rows)}</table>') if rows else ""


def _footer() -> str:
    return escape(" · ".join(["python " + platform.python_version(), *filter(None, map(_version, _PACKAGES))]))


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def _kind(table: pa.Table) -> str | None:
    plot = (table.schema.metadata or {}).get(b"plot")
    return None if plot is None else json.loads(plot)["kind"]


def _range(estimate: Estimate) -> str:
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "-"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def _cell(value: Any) -> str:
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return number(value)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    text = "-" if value is None else str(value)
    return escape(text if len(text) <= 300 else text[:299] + "…")


def _titled(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _head(columns: Sequence[tuple[str, str]]) -> str:
    return "".join(
        f'<th class="{kind}">{escape(name)}</th>' if kind else f"<th>{escape(name)}</th>" for name, kind in columns
    )


def _grid(head: str, rows: Sequence[str], total: int, shown: int | None = None) -> str:
    rest = total - (len(rows) if shown is None else shown)
    more = f'<p class="soft">and {rest:,} more</p>' if rest > 0 else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>{more}'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"
