"""Tables that take more than counts by outcome: calibration by group, and the same answers by person."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa

from jobs.auditing import reporting
from jobs.auditing.findings import Asked, Found
from vision.fairness import calibration, persons
from vision.fairness.disparity import Gap
from vision.fairness.rates import RATES
from vision.fairness.representation import composition, spelt
from vision.fairness.tally import Tally


def tables(tally: Tally, asked: Asked, found: Found) -> dict[str, pa.Table]:
    """`calibration` where there are scores; four tables by person where persons are counted."""
    made: dict[str, pa.Table | None] = {}
    if tally.scores is not None and tally.sums is not None:
        groups = [one for c in asked.combinations for one in calibration.by_group(tally.scores, tally.sums, c)]
        made["calibration"] = reporting.calibration(groups)
    if tally.persons is not None:
        made |= _by_person(tally, asked, found)
        made["shares_by_person"] = _shares(tally, asked)
        made["conflicts"] = _conflicts(tally)
    return {name: table for name, table in made.items() if table is not None}


def _by_person(tally: Tally, asked: Asked, found: Found) -> dict[str, pa.Table | None]:
    assert tally.persons is not None
    gaps = {(gap.rate, gap.columns): gap for gap in found.gaps}
    questions = [(RATES[rate], columns) for rate, columns in gaps]
    rates, differences = [], []
    for one in persons.redrawn(tally.persons, questions, asked.positive):
        rates += [_rate(one.rate.name, group) for group in one.groups()]
        gap = gaps[one.rate.name, one.columns]
        if not math.isnan(gap.difference.value) and {gap.highest, gap.lowest} <= set(one.cells):
            differences.append(_difference(one, gap))
    return {"persons": reporting.table(rates), "disparities_by_person": reporting.table(differences)}


def _rate(name: str, one: persons.ByPerson) -> dict[str, Any]:
    return {
        "rate": name,
        "group": spelt(one.cell),
        "rows": one.by_row.n,
        "by_row": one.by_row.value,
        "by_row_low": one.by_row.low,
        "by_row_high": one.by_row.high,
        "persons": one.persons,
        "by_person": one.by_person.value,
        "by_person_low": one.by_person.low,
        "by_person_high": one.by_person.high,
    }


def _difference(one: persons.Redrawn, gap: Gap) -> dict[str, Any]:
    by_row, by_person = one.difference(gap.highest, gap.lowest)
    return {
        "rate": gap.rate,
        "by": " x ".join(gap.columns),
        "highest": spelt(gap.highest),
        "lowest": spelt(gap.lowest),
        "by_row": by_row.value,
        "low": gap.difference.low,
        "high": gap.difference.high,
        "low_persons_redrawn": by_row.low,
        "high_persons_redrawn": by_row.high,
        "by_person": by_person,
    }


def _shares(tally: Tally, asked: Asked) -> pa.Table | None:
    assert tally.cube is not None and tally.persons is not None
    rows = []
    for columns in asked.combinations:
        whole = composition(tally.cube, columns, asked.declared)
        each = composition(persons.once(tally.persons, columns), columns, asked.declared)
        people = dict(zip(each.cells, zip(each.counts.tolist(), each.shares(), strict=True), strict=True))
        for cell, count, share in zip(whole.cells, whole.counts.tolist(), whole.shares(), strict=True):
            number, theirs = people[cell]
            rows.append(
                {
                    "group": spelt(cell), "rows": count, "share_of_rows": share.value, "persons": number,
                    "share_of_persons": theirs.value, "low": theirs.low, "high": theirs.high,
                }
            )  # fmt: skip
    return reporting.table(rows)


def _conflicts(tally: Tally) -> pa.Table | None:
    assert tally.persons is not None
    rows = [
        {"column": column, "who": who, "groups": ", ".join(groups)}
        for column in tally.by
        for who, groups in persons.conflicts(tally.persons, column)
    ]
    return reporting.table(rows)
