"""A population to compare with: a table of some of the groups' columns with the column `share` or `count`."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from jobs import tables
from jobs.spec import SpecError
from vision.accumulator import Cell
from vision.fairness.representation import Composition, Distance, distance
from vision.grouping import text

WEIGHTS = ("share", "count")


def distances(url: str, compositions: Sequence[Composition]) -> dict[tuple[str, ...], Distance]:
    """How far the groups are from a population, for each combination of columns that its table knows.

    Raises:
        SpecError: if the table has no weights, no column in common, or groups that are unknown here.
    """
    table = tables.read(url)
    named = [name for name in WEIGHTS if name in table.column_names]
    if len(named) != 1:
        raise SpecError(f"reference: {url} needs one column share or count (it has {', '.join(table.column_names)})")
    known = [found for found in compositions if set(found.columns) <= set(table.column_names)]
    if not known:
        raise SpecError(f"reference: {url} has none of the columns {', '.join(compositions[0].columns)}")
    try:
        return {found.columns: distance(found, _weights(table, named[0], found.columns)) for found in known}
    except ValueError as error:
        raise SpecError(str(error)) from None


def _weights(table: pa.Table, weight: str, columns: tuple[str, ...]) -> dict[Cell, float]:
    sums: dict[Cell, float] = {}
    for row in table.select([*columns, weight]).to_pylist():
        if not isinstance(row[weight], int | float):
            raise SpecError(f"reference: {weight} holds {row[weight]!r}, which is no number")
        cell = tuple((name, text(row[name])) for name in columns)
        sums[cell] = sums.get(cell, 0.0) + float(row[weight])
    return sums
