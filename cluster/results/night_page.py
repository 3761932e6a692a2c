"""A night as one HTML page and as lines of text: what to look at first stands first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from cluster.results.listing import aligned, short
from cluster.results.night import OUTCOMES
from jobs import drawing
from jobs.markup import number
from vision.accumulator import Estimate

_TOLD = {
    "worse": "Shown to be worse than the margin allows.",
    "not run": "No answer tonight.",
    "undecided": "Neither within the margin nor shown to be beyond it: more images would decide.",
    "better": "Within the margin, and the whole interval of the difference lies on the good side of zero.",
    "unchanged": "Within the margin.",
    "no gate": "Measured, and judged by no gate.",
}
_STYLE = """<style>
main { max-width: 78rem; }
td svg { min-width: 10rem; }
td .mono { white-space: nowrap; }
td.cause { min-width: 11rem; }
h2 .count { color: var(--soft); font-weight: 400; }
td .soft { display: block; font-size: .82rem; font-weight: 400; }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: .9rem; }
.tiles a { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: .45rem .8rem;
  color: inherit; text-decoration: none; }
.tiles b { font-size: 1.15rem; margin-right: .35rem; }
.tiles a.worse, .tiles a.not-run { background: var(--warn-paper); color: var(--warn); }
</style>"""


def render(night: Mapping[str, Any]) -> str:
    """The page of a document of `cluster.results.night`; it needs nothing else, and runs no script."""
    sections = [_section(outcome, _of(night, outcome)) for outcome in OUTCOMES if night["counts"][outcome]]
    page = Template(files("jobs").joinpath("page.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=escape(f"Night of {night['date']}"),
        summary=_STYLE + _tiles(night["counts"]),
        body="\n".join(sections),
        footer="Differences are candidate minus baseline, with their intervals. safelight results night",
    )


def as_text(night: Mapping[str, Any]) -> str:
    """The same as a table, worst first."""
    rows = [["outcome", "entry", "model", "group", "metric", "difference", "needed", "cause", "run"]]
    for row in night["findings"]:
        rows.append(
            [
                row["outcome"], row["entry"], short(row["model"] or "-"), row["group"] or "all", row["metric"] or "-",
                _difference(row["difference"]), _count(row["needed"]), row["cause"] or "-", (row["run_id"] or "-")[:8],
            ]
        )  # fmt: skip
    counts = ", ".join(f"{count} {name}" for name, count in night["counts"].items() if count)
    return f"night of {night['date']}: {counts or 'nothing'}\n{aligned(rows) if len(rows) > 1 else ''}"


def _of(night: Mapping[str, Any], outcome: str) -> list[Mapping[str, Any]]:
    return [row for row in night["findings"] if row["outcome"] == outcome]


def _tiles(counts: Mapping[str, int]) -> str:
    tiles = [
        f'<a class="{_id(name)}" href="#{_id(name)}"><b>{count:,}</b>{name}</a>'
        for name, count in counts.items()
        if count
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else "<p>Nothing was recorded of this night.</p>"


def _section(outcome: str, rows: Sequence[Mapping[str, Any]]) -> str:
    judged = any(row["difference"] for row in rows)
    axis = drawing.close_scale([Estimate(0, 0, 0, 0), *(_estimate(row["difference"]) for row in rows)])
    head = ["Model", *(["Group", "Metric", "Baseline", "Candidate", "Difference", "Interval"] if judged else [])]
    head += [*(["Images needed"] if outcome == "undecided" else []), "Cause", "Run"]
    right = ("Baseline", "Candidate", "Difference", "Images needed")
    cells = "".join(f'<th class="number">{name}</th>' if name in right else f"<th>{name}</th>" for name in head)
    body = "".join(_row(row, judged, outcome == "undecided", axis) for row in rows)
    title = f'<h2 id="{_id(outcome)}">{outcome.capitalize()} <span class="count">{len(rows):,}</span></h2>'
    table = f'<div class="scroll"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'
    return f'<section>{title}<p class="soft">{_TOLD[outcome]}</p>{table}</section>'


def _row(row: Mapping[str, Any], judged: bool, needed: bool, axis: tuple[float, float]) -> str:
    against = f'<span class="soft">against {escape(short(row["against"]))}</span>' if row["against"] else ""
    model = escape(short(row["model"] or "-"))
    cells = [f'<td title="{escape(row["model"] or "")}">{model}<span class="soft">{escape(row["entry"])}</span>'
             f"{against}</td>"]  # fmt: skip
    if judged:
        cells += [f"<td>{escape(row['group'] or 'all')}</td>", f"<td>{escape(row['metric'] or '-')}</td>"]
        cells += [f'<td class="number">{_value(row[name])}</td>' for name in ("baseline", "candidate")]
        cells.append(f'<td class="number value">{_signed(row["difference"])}</td>')
        cells.append(f"<td>{drawing.interval(_estimate(row['difference']), axis, 0.0)}</td>")
    if needed:
        cells.append(f'<td class="number">{_count(row["needed"])}</td>')
    told = f'<span class="soft">{escape(row["sentence"])}</span>' if row["sentence"] else ""
    cells.append(f'<td class="cause">{escape(row["cause"] or "")}{told}</td><td>{_link(row)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _link(row: Mapping[str, Any]) -> str:
    name = f'<span class="mono">{(row["run_id"] or "-")[:8]}</span>'
    link = row["link"]
    if link is None:
        return name
    address = link if "://" in link else Path(link).as_uri()
    return f'<a href="{escape(address)}">{name}</a>'


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    if found["low"] is None or found["high"] is None:
        return f"{found['value']:+.4f}"
    return f"{found['value']:+.4f} ({found['low']:+.4f} to {found['high']:+.4f})"


def _signed(found: Mapping[str, Any] | None) -> str:
    """A difference with its interval below."""
    value, _, ends = _difference(found).partition(" ")
    return f'{value}<span class="soft">{ends.strip("()")}</span>' if ends else value


def _value(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else number(found["value"])


def _estimate(found: Mapping[str, Any] | None) -> Estimate:
    values = [None, None, None] if found is None else [found["value"], found["low"], found["high"]]
    value, low, high = (math.nan if number is None else number for number in values)
    return Estimate(value, low, high, 0)


def _count(needed: int | None) -> str:
    return f"{needed:,}" if needed else "-"


def _id(outcome: str) -> str:
    return outcome.replace(" ", "-")
