"""What an audit shows as pictures: groups ranked with their intervals, and two columns as a map of numbers.

Groups that were judged come first, the worst at the head; those with insufficient data stand below, in grey: a group of
three rows is no worst group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from jobs.auditing import reporting
from jobs.auditing.findings import Found
from vision.accumulator import Cell, plotted
from vision.fairness.disparity import Measured
from vision.fairness.rates import RATES
from vision.fairness.representation import Composition, Distance, spelt

FEW = "insufficient data"


def tables(found: Found, distances: Mapping[tuple[str, ...], Distance], least: int) -> dict[str, pa.Table]:
    """`groups_ranked` and, where pairs of columns were asked for, `intersections`.

    Args:
        least: rows below which a share's group is shown as insufficient.
    """
    rows = [row for part in _by_question(found.groups).values() for row in _ranked(part, found)]
    rows += [row for one in found.compositions for row in _shares(one, distances.get(one.columns), least)]
    cells = [row for part in _by_question(found.groups).values() for row in _matrix(part)]
    if not found.groups:
        cells = [row for one in found.compositions if len(one.columns) == 2 for row in _counted(one, least)]
    made = {
        "groups_ranked": _plotted(rows, kind="ranked", panel="of"),
        "intersections": _plotted(cells, kind="matrix", panel="of"),
    }
    return {name: table for name, table in made.items() if table is not None}


def _plotted(rows: Sequence[Mapping[str, Any]], **plot: object) -> pa.Table | None:
    table = reporting.table(rows)
    return None if table is None else plotted(table, **plot)


def _by_question(groups: Sequence[Measured]) -> dict[tuple[str, tuple[str, ...]], list[Measured]]:
    """The groups of each rate and combination of columns."""
    parts: dict[tuple[str, tuple[str, ...]], list[Measured]] = {}
    for one in groups:
        parts.setdefault((one.rate, tuple(column for column, _ in one.cell)), []).append(one)
    rates = list(dict.fromkeys(rate for rate, _ in parts))
    return dict(sorted(parts.items(), key=lambda item: rates.index(item[0][0])))


def _ranked(groups: Sequence[Measured], found: Found) -> list[dict[str, Any]]:
    """One rate by some columns; of a rate without a better end the highest come first."""
    rate = RATES[groups[0].rate]
    upwards = rate.higher_is_better is True

    def place(one: Measured) -> tuple[bool, float, Cell]:
        value = one.value.value
        size = math.inf if math.isnan(value) else value if upwards else -value
        return one.verdict == FEW, size, one.cell

    title = f"{rate.name} by {' and '.join(column for column, _ in groups[0].cell)}: {rate.formula}"
    return [
        {
            "of": title, "group": spelt(one.cell), "value": one.value.value, "low": one.value.low,
            "high": one.value.high, "line": found.overall[rate.name].value, "n": one.value.n, "insufficient":
            one.verdict == FEW,
        }
        for one in sorted(groups, key=place)
    ]  # fmt: skip


def _shares(one: Composition, reference: Distance | None, least: int) -> list[dict[str, Any]]:
    """Who is there, the largest group first, beside a reference's shares."""
    title = f"share by {' and '.join(one.columns)}" + (", the line is the reference's" if reference else "")
    rows = [
        {
            "of": title, "group": spelt(cell), "value": share.value, "low": share.low, "high": share.high,
            "line": math.nan if reference is None else float(reference.reference[place]), "n": int(one.counts[place]),
            "insufficient": int(one.counts[place]) < least,
        }
        for place, (cell, share) in enumerate(zip(one.cells, one.shares(), strict=True))
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["n"], row["group"]))


def _matrix(groups: Sequence[Measured]) -> list[dict[str, Any]]:
    """One rate in every combination of two columns; nothing for others."""
    if len(groups[0].cell) != 2:
        return []
    rate = RATES[groups[0].rate]
    worse = {True: "low", False: "high", None: ""}[rate.higher_is_better]
    title = f"{rate.name}: {rate.formula}"
    return [
        _place(title, one.cell, worse) | {"value": one.value.value, "low": one.value.low, "high": one.value.high,
                                          "n": one.value.n, "insufficient": one.verdict == FEW}
        for one in groups
    ]  # fmt: skip


def _counted(one: Composition, least: int) -> list[dict[str, Any]]:
    """Shares in every combination of two columns, where there are no answers to judge."""
    return [
        _place("share of all rows", cell, "") | {"value": share.value, "low": share.low, "high": share.high,
                                                 "n": count, "insufficient": count < least}
        for cell, share, count in zip(one.cells, one.shares(), one.counts.tolist(), strict=True)
    ]  # fmt: skip


def _place(title: str, cell: Cell, worse: str) -> dict[str, Any]:
    (down, row), (across, column) = cell
    title = f"{title}, by {down} and {across}"
    return {"of": title, "down": down, "row": row, "across": across, "column": column, "worse": worse}
