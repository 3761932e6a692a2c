"""Rates that were published without counts: their gaps can be told, their intervals cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa

from jobs import records, storage, tables
from jobs.auditing import reporting
from jobs.choosing import chosen, sha256
from jobs.spec import Report, SpecError, nearest
from vision.accumulator import Cell, Estimate
from vision.fairness.representation import spelt
from vision.grouping import text

if TYPE_CHECKING:
    from jobs.audit import Audit


def report(job: Audit, roles: Mapping[str, str]) -> Report:
    """The gap between given rates, in their own unit.

    Raises:
        SpecError: if two rows are of one group, or a rate is no number.
    """
    if set(roles) - {"rate", "id"}:
        raise SpecError("columns: a table of rates has no counts, truths or predictions; give rate=NAME alone")
    if job.checks or not job.by:
        raise SpecError("by: given rates are those of groups, and have no rows to check")
    url = storage.absolute(job.table or "")
    table = chosen(tables.read(url), job, roles.get("id"))
    for name in (*job.by, roles["rate"]):
        if name not in table.column_names:
            raise SpecError(f"{url} has no column {name!r}{nearest(name, table.column_names)}")
    rates = _rates(table, job.by, roles["rate"])
    low, high = (end(rates, key=lambda cell: (rates[cell], cell)) for end in (min, max))
    ratio = rates[low] / rates[high] if rates[high] else math.nan
    rows = [{"group": spelt(cell), "rate": value} for cell, value in sorted(rates.items(), key=lambda pair: -pair[1])]
    ranked = reporting.table(rows)
    gap = f"{roles['rate']}: difference {rates[high] - rates[low]:g}, lowest for {spelt(low)} ({rates[low]:g}), "
    undefined = "" if rates[low] else "; over a rate of 0 there is no ratio of the highest to it"
    return Report(
        metrics={"rate.difference": _bare(rates[high] - rates[low]), "rate.ratio": _bare(ratio)},
        groups=tuple((dict(cell), {"rate": _bare(value)}) for cell, value in rates.items()),
        output=url,
        tables={} if ranked is None else {"given_rates": ranked},
        tags={"table": url, "table_sha256": sha256(url), **{k: str(v) for k, v in records.key(job).items()}},
        notes=(
            f"{gap}highest for {spelt(high)} ({rates[high]:g}){undefined}",
            "rates as given, without counts: intervals and tests are not recomputable",
        ),
    )


def _rates(table: pa.Table, by: tuple[str, ...], rate: str) -> dict[Cell, float]:
    rates: dict[Cell, float] = {}
    for row in table.select([*by, rate]).to_pylist():
        cell = tuple((name, text(row[name])) for name in by)
        if cell in rates:
            raise SpecError(f"columns: two rows give a rate of {spelt(cell)}; choose rows with --where, or add to --by")
        if isinstance(row[rate], bool) or not isinstance(row[rate], int | float):
            raise SpecError(f"columns: {rate} holds {row[rate]!r}, which is no rate")
        rates[cell] = float(row[rate])
    if not rates:
        raise SpecError("there is no row to audit")
    return rates


def _bare(value: float) -> Estimate:
    return Estimate(value, math.nan, math.nan, 0)
