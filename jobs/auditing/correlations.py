"""Columns that go with labels and groups though they should not: a camera with a class, a source with a group.

Pairs of values are read off the counts that the audit has made, so they cost no pass. All pairs of the columns of
`--by` and `--correlate` and of the true label are one family.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from jobs.auditing import reporting
from jobs.auditing.checked import Checked
from jobs.spec import SpecError
from vision.accumulator import Estimate
from vision.fairness.correlation import Pair, pairs
from vision.fairness.counts import Cube
from vision.fairness.rates import TRUTH
from vision.fairness.sentences import shown

MOST = 500
"""Pairs that are listed, the strongest; each has an interval, at some 3 ms."""

_SAID = 3


def find(cube: Cube | None, columns: Sequence[str], level: float, outcome: str | None) -> Checked:
    """What goes together, as metrics, tables and sentences.

    Args:
        columns: of the groups, and those that were counted beside them.
        level: share of findings that may be false.
        outcome: how the true label is called; None where there is none.

    Raises:
        SpecError: if there are not two columns.
    """
    counted = [*columns, *([TRUTH] if outcome else [])]
    if cube is None or len(counted) < 2:
        raise SpecError("correlate: correlations need two columns of --by, --correlate and the label of --predictions")
    found = pairs(cube, list(combinations(counted, 2)))
    called = {TRUTH: outcome or TRUTH}
    findings = [one for one in found if one.adjusted <= level]
    strongest: dict[tuple[str, str], Pair] = {}
    for one in [*findings, *found]:
        strongest.setdefault(one.columns, one)
    metrics = {
        ".".join(("correlations", *(called.get(name, name) for name in names))): _strength(one)
        for names, one in strongest.items()
    }
    listed = [*findings, *(one for one in found if one.adjusted > level)][:MOST]
    said = [
        f"{len(findings):,} of {len(found):,} pairs of values go together, or keep apart, more than by chance "
        f"(Benjamini-Hochberg at {level:g})" + ("" if findings else ": that does not show that none do")
    ]
    said += [_sentence(one, called) for one in findings[:_SAID]]
    if len(found) > MOST:
        said.append(f"the table lists the {MOST:,} strongest of {len(found):,} pairs of values")
    rows = [_row(one, called, level) for one in listed]
    return Checked(metrics, {"correlations": reporting.table(rows)}, tuple(said))


def _strength(one: Pair) -> Estimate:
    """How strongly, whether together or apart: lower is better."""
    found = one.estimate()
    return found if found.value >= 0 else Estimate(-found.value, -found.high, -found.low, found.n)


def _sentence(one: Pair, called: dict[str, str]) -> str:
    first, second = _names(one, called)
    how = "go together" if one.both > one.expected else "keep apart"
    return (
        f"{first} and {second} {how}: {one.both:,} rows have both where chance would have {one.expected:,.0f} "
        f"(npmi {shown(one.estimate())})"
    )


def _names(one: Pair, called: dict[str, str]) -> list[str]:
    return [f"{called.get(name, name)}={value}" for name, value in zip(one.columns, one.values, strict=True)]


def _row(one: Pair, called: dict[str, str], level: float) -> dict[str, Any]:
    first, second = _names(one, called)
    how = "together" if one.both > one.expected else "apart"
    return {
        "first": first, "second": second, "rows": one.both, "expected": one.expected, "rows_of_first": one.first,
        "rows_of_second": one.second, "n": one.n, **reporting.parts("npmi", one.estimate()), "p": one.p,
        "p_adjusted": one.adjusted, "verdict": how if one.adjusted <= level else "not shown",
    }  # fmt: skip
