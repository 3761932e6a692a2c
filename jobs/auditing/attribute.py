"""The source of the groups itself: a second annotator, and a sample in which predicted groups were checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import tables
from jobs.auditing import reporting
from jobs.auditing.findings import Asked
from jobs.spec import SpecError, nearest
from vision.accumulator import Array, Estimate
from vision.fairness.annotation import agreement, bounds
from vision.fairness.counts import Cube
from vision.fairness.rates import RATES, by_group
from vision.grouping import MISSING, text

TRUE = "true"


def pairs(second: Sequence[str], by: Sequence[str]) -> dict[str, str]:
    """`column=other` words: who else said the groups of which column.

    Raises:
        SpecError: if a word is none, or its column is not audited.
    """
    found: dict[str, str] = {}
    for word in second:
        column, _, other = word.partition("=")
        if column not in by or not other:
            raise SpecError(f"second: COLUMN=OTHER with a column of --by is expected, got {word!r}")
        found[column] = other
    return found


def agreements(cube: Cube, said: dict[str, str]) -> tuple[dict[str, Estimate], pa.Table | None]:
    """Agreement and kappa of each pair of columns, as metrics and as a table."""
    metrics, rows = dict[str, Estimate](), list[dict[str, Any]]()
    for column, other in said.items():
        found = agreement(cube, column, other)
        metrics |= {f"agreement.{column}": found.share, f"kappa.{column}": found.kappa}
        row = {"column": column, "other": other, "n": found.share.n}
        rows.append(
            row
            | {"agreement": found.share.value, "agreement_low": found.share.low, "agreement_high": found.share.high}
            | {"kappa": found.kappa.value, "kappa_low": found.kappa.low, "kappa_high": found.kappa.high}
        )
    return metrics, reporting.table(rows)


def checked(url: str, cube: Cube, asked: Asked, names: Sequence[str]) -> pa.Table | None:
    """Bounds on the rates of true groups, from a table with a column of --by beside `true` (and perhaps `count`).

    Raises:
        SpecError: if the table has not these columns, or a group that has rows was never checked.
    """
    table = tables.read(url)
    columns = [name for name in asked.by if name in table.column_names]
    if len(columns) != 1 or TRUE not in table.column_names:
        found = ", ".join(table.column_names)
        raise SpecError(f"checked: {url} needs one column of --by and the column {TRUE} (it has {found})")
    column = columns[0]
    sample = _sample(table, column)
    known = [value for value in cube.levels[cube.place(column)] if value != MISSING]
    for value in known:
        if value not in {predicted for predicted, _ in sample}:
            hint = nearest(value, sorted({predicted for predicted, _ in sample}))
            raise SpecError(f"checked: {url} has no row with {column}={value}{hint}")
    groups = sorted({*known, *(value for pair in sample for value in pair)})
    place = {name: index for index, name in enumerate(groups)}
    counts = np.zeros((len(groups), len(groups)), np.int64)
    for (predicted, true), count in sample.items():
        counts[place[predicted], place[true]] += count
    return reporting.table([row for name in names for row in _rows(cube, asked, name, column, groups, counts)])


def _rows(
    cube: Cube, asked: Asked, name: str, column: str, groups: list[str], counts: Array
) -> list[dict[str, object]]:
    found = by_group(cube, RATES[name], [column], asked.positive)
    place = {value: index for index, value in enumerate(groups)}
    hits, n = np.zeros(len(groups), np.int64), np.zeros(len(groups), np.int64)
    for cell, some, rows in zip(found.cells, found.hits.tolist(), found.n.tolist(), strict=True):
        hits[place[cell[0][1]]], n[place[cell[0][1]]] = some, rows
    if not n.sum():
        return []
    return [
        {
            "rate": name, "true_group": one.group, "by_predicted_group": one.naive, "true_low": one.low,
            "true_high": one.high, "precision_of_group": one.precision, "recall_of_group": one.recall,
        }
        for one in bounds(groups, hits, n, counts)
    ]  # fmt: skip


def _sample(table: pa.Table, column: str) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for row in table.to_pylist():
        count = row.get("count", 1)
        if not isinstance(count, int) or count < 0:
            raise SpecError(f"checked: count holds {count!r}, which is no number of rows")
        pair = (text(row[column]), text(row[TRUE]))
        if MISSING not in pair:
            sums[pair] = sums.get(pair, 0) + count
    return sums
