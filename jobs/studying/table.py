"""The rows of all trials as one table: a row a cell, its numbers averaged over seeds, each with an interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from jobs.spec import SpecError, nearest
from jobs.studying.grid import short
from jobs.studying.kind import SEED, Outcome, Row, Sheet, Trial
from vision import intervals
from vision.accumulator import Estimate, plotted

LOW, HIGH, SERIES = "_low", "_high", "series"


@dataclass(frozen=True)
class Line:
    """A row of the table: what it is of, its numbers, what is told, and how many trials it stands for."""

    keys: Mapping[str, Any]
    values: Mapping[str, Estimate]
    facts: Mapping[str, Any]
    trials: int


def lines(done: Sequence[tuple[Trial, Outcome]], sheet: Sheet) -> list[Line]:
    """The rows of a sheet, those of one cell and place together, in the order of the trials."""
    groups: dict[tuple[Any, ...], dict[str, tuple[Trial, Row]]] = {}
    for trial, outcome in done:
        for row in outcome.get(sheet.name, ()):
            keys = {**{axis: value for axis, value in trial.cell.items() if axis != SEED}, **row.at}
            # Cells that share a trial, because their seed decides nothing, have one row of it.
            groups.setdefault(tuple(keys.items()), {}).setdefault(trial.name, (trial, row))
    return [_line(dict(keys), list(members.values()), sheet) for keys, members in groups.items()]


def _line(keys: Mapping[str, Any], members: Sequence[tuple[Trial, Row]], sheet: Sheet) -> Line:
    rows = [row for _, row in members]
    values = {name: combined([row.values[name] for row in rows if name in row.values], name, sheet)
              for name in sheet.values if any(name in row.values for row in rows)}  # fmt: skip
    names = list(dict.fromkeys(name for row in rows for name in row.facts))
    facts = {name: _told([(trial.cell.get(SEED), row.facts.get(name)) for trial, row in members]) for name in names}
    return Line(keys, values, facts, len(rows))


def combined(found: Sequence[Estimate], name: str, sheet: Sheet) -> Estimate:
    """The mean of a number over seeds with its t interval; of one seed, what that trial knows itself.

    Numbers that are ratios have the mean and the interval of their logarithms.
    """
    if len(found) == 1:
        return found[0]
    change, back = (math.log, math.exp) if name in sheet.ratios else (float, float)
    if name in sheet.ratios and min(one.value for one in found) <= 0:
        return Estimate(sum(one.value for one in found) / len(found), math.nan, math.nan, len(found))
    numbers = [change(one.value) for one in found]
    mean = math.fsum(numbers) / len(numbers)
    # From the differences to the mean: nothing is lost where all numbers are far from 0.
    low, high = intervals.mean_from_sums(len(numbers), 0.0, math.fsum((x - mean) ** 2 for x in numbers))
    least = 0.0 if name in (*sheet.shares, *sheet.amounts) else -math.inf
    most = 1.0 if name in sheet.shares else math.inf
    ends = (max(least, back(mean + low)), min(most, back(mean + high))) if math.isfinite(low) else (low, high)
    return Estimate(back(mean), *ends, len(found))


def _told(found: Iterable[tuple[Any, Any]]) -> Any:
    """What all seeds agree on; else what each says."""
    told = list(found)
    if len({value for _, value in told}) == 1:
        return told[0][1]
    return "; ".join(f"seed {seed}: {value}" for seed, value in told if value not in (None, ""))


def varying(rows: Sequence[Line]) -> list[str]:
    """The keys by which rows differ, in order; at least the first."""
    keys = list(dict.fromkeys(key for line in rows for key in line.keys))
    found = [key for key in keys if len({line.keys.get(key) for line in rows}) > 1]
    return found or keys[:1]


def label(line: Line, keys: Sequence[str]) -> str:
    """A row's name: the values of its keys, the depth behind its net, and other numbers behind what they are of."""
    known = {key: line.keys[key] for key in keys if line.keys.get(key) is not None}
    if "net" in known and "depth" in known:
        known["net"] = f"{short('net', known['net'])}{known.pop('depth')}"
    numbers = {key: isinstance(value, int | float) for key, value in known.items()}
    return " ".join(f"{key} {short(key, known[key])}" if numbers[key] else short(key, known[key]) for key in known)


def table(rows: Sequence[Line], sheet: Sheet, x: str | None, y: str | None) -> pa.Table:
    """The table of a sheet, with a note on how it is drawn.

    Args:
        x, y: what is drawn over what; None for what the sheet would rather have.

    Raises:
        SpecError: if there is no such column.
    """
    # Two seeds of the same net are one row; what never varies is told by the fields.
    keys = varying(rows)
    if "net" in rows[0].keys and "net" not in keys:
        keys = ["net", *keys]
    columns: dict[str, Any] = {key: _column([line.keys.get(key) for line in rows]) for key in keys}
    for name in [name for name in sheet.values if any(name in line.values for line in rows)]:
        for number, ending in enumerate(("", LOW, HIGH)):
            columns[name + ending] = pa.array([_number(line.values.get(name), number) for line in rows], pa.float64())
    columns["trials"] = pa.array([line.trials for line in rows], pa.int64())
    for name in dict.fromkeys(name for line in rows for name in line.facts):
        columns[name] = _column([line.facts.get(name) for line in rows])
    found = pa.table(columns)
    drawable = [name for name in sheet.values if name in found.column_names]
    for field, given, known in (("x", x, keys), ("y", y, drawable)):
        if given is not None and given not in known:
            raise SpecError(f"{field}: the table {sheet.name} has no {given!r} to draw{nearest(given, known)}")
    foot = x or next((name for name in sheet.over if name in keys), keys[-1])
    return _drawn(found, rows, sheet, foot, y or drawable[0])


def _drawn(found: pa.Table, rows: Sequence[Line], sheet: Sheet, foot: str, up: str) -> pa.Table:
    """The table with a note on its plot; what tells curves apart is named in the column `series`."""
    apart = [key for key in varying(rows) if key != foot]
    if apart:
        found = found.add_column(0, SERIES, pa.array([label(line, apart) for line in rows], pa.string()))
    return plotted(
        found, kind="lines", x=foot, y=up, low=up + LOW, high=up + HIGH, series=[SERIES] if apart else [],
        logarithmic=up in sheet.ratios, stretched=foot in sheet.stretched,
    )  # fmt: skip


def _column(values: list[Any]) -> pa.Array:
    """Numbers as numbers, all else as text."""
    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        return pa.array(values)
    return pa.array([None if value is None else str(value) for value in values], pa.string())


def _number(estimate: Estimate | None, place: int) -> float | None:
    return None if estimate is None or not math.isfinite(estimate[place]) else float(estimate[place])
