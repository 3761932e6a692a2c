"""The data card of an audit: one page of Markdown to lie beside a data set, and to be made again.

It says who is in the data and whom answers fail, with intervals, whose word that is, and what it does not say. It holds
no id of a record and no name of a person, so that it outlives what is forgotten; and nothing that changes from run to
run: the same rows and the same words give the same card, and its digests say which rows they were.

References: Pushkarna, Zaldivar & Kjartansson, "Data Cards", FAccT 2022; Gebru et al., "Datasheets for datasets",
CACM 2021.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from jobs.auditing.findings import Found
from jobs.spec import Report
from vision.accumulator import Estimate
from vision.fairness.disparity import Measured, Rules
from vision.fairness.rates import RATES
from vision.fairness.representation import Composition, Distance, spelt

FILE = "card.md"
MOST = 40
"""Rows of a table; the rest is in the report's own."""

_LIMITS = (
    "An audit assesses disparity between groups. Where none was shown, that does not show that there is none.",
    "Figures are about groups and say nothing about any one person.",
    "A group's label is somebody's word, named above; who was given no label is in no group's figures.",
    "Intervals are of 95 % and know of chance alone: not of who was never collected.",
)


def written(
    facts: Mapping[str, str],
    said: Sequence[str],
    found: Found,
    distances: Mapping[tuple[str, ...], Distance],
    rules: Rules,
) -> str:
    """The card as far as groups go.

    Args:
        facts: what the figures rest on.
        said: sentences about groups.
    """
    parts = [_head(facts), "## In short", "\n".join(f"- {_text(one)}" for one in said)]
    parts += ["## Who is in it", *[_composition(one, distances.get(one.columns)) for one in found.compositions]]
    if found.groups:
        parts += ["## Whom the answers fail", _tested(found, rules)]
    return "\n\n".join(parts)


def finished(report: Report, spec: str) -> Report:
    """The report with its card: what was written of groups, the figures of everything, and how to make it again.

    Args:
        spec: the job as YAML.
    """
    parts = [report.files.get(FILE) or _head(report.tags), "## Figures", _figures(report.metrics)]
    parts += ["## What this does not say", "\n".join(f"- {one}" for one in _LIMITS)]
    parts += ["## To make it again", "With these words in `audit.yaml`: `safelight run audit audit.yaml`"]
    text = "\n\n".join([*parts, f"```yaml\n{spec.rstrip()}\n```"]) + "\n"
    return replace(report, files={**report.files, FILE: text})


def _head(facts: Mapping[str, str]) -> str:
    """What was audited, and what the figures rest on."""
    what = next((facts[name] for name in ("predictions", "table", "corpus") if name in facts), "")
    return f"# Data card: {_text(what.rstrip('/').rsplit('/', 1)[-1])}\n\n{_table(('', ''), facts.items())}"


def _composition(one: Composition, reference: Distance | None) -> str:
    """Shares of one combination of columns, the largest first."""
    entropy = one.entropy()
    even = f", evenness {_estimate(entropy)}" if math.isfinite(entropy.value) else ""
    far = f", {reference.total_variation:.3f} from the reference (total variation)" if reference else ""
    rows = sorted(zip(one.counts.tolist(), one.cells, one.shares(), range(len(one.cells)), strict=True),
                  key=lambda row: (-row[0], row[1]))  # fmt: skip
    heads = ("group", "rows", "share", *(("in the reference",) if reference else ()))
    lines = [
        (spelt(cell), f"{count:,}", _estimate(share), *((f"{reference.reference[at]:.3f}",) if reference else ()))
        for count, cell, share, at in rows
    ]
    return f"### By {_text(' and '.join(one.columns))}\n\n{one.n:,} rows{even}{far}.\n\n{_table(heads, lines)}"


def _tested(found: Found, rules: Rules) -> str:
    """Every group against the rest: those that differ, then the others, then those of which too little is known."""
    order = {"differs": 0, "not shown": 1, "insufficient data": 2}

    def place(one: Measured) -> tuple[int, float, str]:
        return order[one.verdict], one.p if math.isfinite(one.p) else 2.0, spelt(one.cell)

    lines = [
        (one.rate, spelt(one.cell), _estimate(one.value), f"{one.value.n:,}", _signed(one.to_rest), one.verdict)
        for one in sorted(found.groups, key=place)
    ]
    named = dict.fromkeys(one.rate for one in found.groups)
    formulas = "; ".join(f"`{name}` is {RATES[name].formula}" for name in named)
    rule = (
        f"Verdicts are by Benjamini & Hochberg at {rules.level:g} over all {len(found.groups):,} rows; groups of fewer "
        f"than {rules.min_group} rows, or with fewer than {rules.min_errors:g} of the rarer outcome to be expected, "
        "are not judged alike."
    )
    return f"{formulas}.\n\n{_table(('rate', 'group', 'value', 'rows', 'to the rest', 'verdict'), lines)}\n\n{rule}"


def _figures(metrics: Mapping[str, Estimate]) -> str:
    return _table(("figure", "value", "n"), [(name, _estimate(e), f"{e.n:,}") for name, e in metrics.items()])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows as Markdown's table, no more than a reader would read."""
    lines = list(rows)
    shown = ["| " + " | ".join(_text(cell) for cell in row) + " |" for row in (heads, *lines[:MOST])]
    shown.insert(1, "| " + " | ".join("---" for _ in heads) + " |")
    rest = len(lines) - MOST
    return "\n".join(shown) + (f"\n\nand {rest:,} more, in the report's tables." if rest > 0 else "")


def _text(words: object) -> str:
    """Words that Markdown leaves alone: a value is no heading, no link and no HTML, and breaks no table."""
    plain = " ".join(str(words).split())
    for mark in "\\`*[]<>|":
        plain = plain.replace(mark, f"\\{mark}" if mark != "<" else "&lt;")
    return plain


def _estimate(value: Estimate) -> str:
    if not math.isfinite(value.value):
        return "-"
    if not math.isfinite(value.low + value.high):
        return f"{value.value:.3f}"
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def _signed(value: Estimate) -> str:
    if not math.isfinite(value.value):
        return "-"
    return f"{value.value:+.3f} ({value.low:+.3f} to {value.high:+.3f})"
