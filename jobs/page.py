"""A report as one HTML page that needs nothing else: no script, no address, pictures inside.

It knows estimates, tables, groups and examples, and no task. A table whose schema says how it is best seen
(`vision.accumulator.plotted`) is drawn.
"""

from __future__ import annotations

import base64
import math
import platform
from collections.abc import Mapping, Sequence
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from string import Template
from typing import Any

from jobs import drawing, figures, markup
from jobs.markup import ROWS, number
from jobs.spec import Example, Report
from vision.accumulator import Estimate

GROUP_METRICS = 3
_SEEN = 16  # metrics and sentences; more are folded
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
        *(figures.plot(name, table) for name, table in report.tables.items() if figures.kind(table)),
        _groups(report),
        _examples(report.examples),
        *(markup.table(name, table) for name, table in report.tables.items() if not figures.kind(table)),
        markup.pairs("Fields", fields),
        markup.pairs("Facts", report.tags),
    ]
    page = Template(files("jobs").joinpath("page.html").read_text(encoding="utf-8"))
    body = "\n".join(section for section in sections if section)
    return page.substitute(title=escape(title), summary=_summary(report), body=body, footer=_footer())


def _summary(report: Report) -> str:
    lines = []
    if report.output is not None:
        lines.append(f'<p class="soft">Output: <span class="mono">{escape(report.output)}</span></p>')
    if report.errors:
        lines.append(f'<p class="soft">{report.errors:,} records could not be answered.</p>')
    return "".join(lines)


def _notes(notes: Sequence[str]) -> str:
    """What the reader must know, and folded what is to be known beyond the first sentences."""
    items = [f"<li>{markup.sentence(note)}</li>" for note in notes]
    rest = "".join(items[_SEEN:])
    more = f"<li><details><summary>{len(items) - _SEEN:,} more</summary><ul>{rest}</ul></details></li>" if rest else ""
    return f'<ul class="notes">{"".join(items[:_SEEN])}{more}</ul>' if notes else ""


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
    head = markup.head([("Metric", ""), ("Value", "number"), ("", ""), ("95 % interval", "number"), ("n", "number")])
    if not rows:
        return ""
    first, rest = markup.grid(head, rows[:_SEEN], len(rows[:_SEEN])), rows[_SEEN:]
    if rest:
        first += f"<details><summary>{len(metrics) - _SEEN:,} more metrics</summary>"
        first += f"{markup.grid(head, rest, len(metrics) - _SEEN)}</details>"
    return markup.section("Metrics", first)


def _groups(report: Report) -> str:
    """A row a group, the first metrics beside each other, each against the whole."""
    if not report.groups:
        return ""
    names = [n for n in report.metrics if any(n in m for _, m in report.groups)] or list(report.groups[0][1])
    names = names[:GROUP_METRICS]
    everyone = [report.metrics, *(metrics for _, metrics in report.groups)]
    axes = {name: drawing.close_scale([m[name] for m in everyone if name in m]) for name in names}
    head = markup.head(
        [("Group", ""), *(pair for name in names for pair in ((name, "number"), ("", ""))), ("n", "number")]
    )
    rows = [_group_row("all", report.metrics, axes, report.metrics)]
    for by, metrics in report.groups[:ROWS]:
        label = ", ".join(f"{column} = {value}" for column, value in by.items())
        rows.append(_group_row(label, metrics, axes, report.metrics))
    note = '<p class="soft">Each metric has an axis of its own; the dashed line is the value over all records.</p>'
    return markup.section("Groups", markup.grid(head, rows, len(report.groups), shown=len(rows) - 1) + note)


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


def _examples(examples: Sequence[Example]) -> str:
    figures = [
        f'<figure><img alt="{escape(example.id)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(example.jpeg).decode()}"><figcaption>{escape(example.caption)}'
        f'<span class="id mono">{escape(example.id)}</span></figcaption></figure>'
        for example in examples[:ROWS]
    ]
    return markup.section("Images worth a look", f'<div class="examples">{"".join(figures)}</div>') if figures else ""


def _footer() -> str:
    return escape(" · ".join(["python " + platform.python_version(), *filter(None, map(_version, _PACKAGES))]))


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def _range(estimate: Estimate) -> str:
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "-"
    return f"{number(estimate.low)} to {number(estimate.high)}"
