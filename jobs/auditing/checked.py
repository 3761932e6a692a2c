"""What one check of an audit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa

from jobs.spec import Report
from vision.accumulator import Estimate

MOST_ROWS = 100_000
"""Rows of a table of single records; whoever needs more of them has a collection to clean first."""


@dataclass(frozen=True)
class Checked:
    """Metrics, tables and sentences; `None` is a table without rows."""

    metrics: Mapping[str, Estimate] = field(default_factory=dict)
    tables: Mapping[str, pa.Table | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def added(self, report: Report) -> Report:
        """A report with this in it: its sentences first."""
        tables = {name: table for name, table in self.tables.items() if table is not None}
        return replace(
            report,
            metrics={**report.metrics, **self.metrics},
            tables={**report.tables, **tables},
            notes=(*self.notes, *report.notes),
        )


def cut(table: pa.Table, what: str) -> tuple[pa.Table | None, tuple[str, ...]]:
    """A table of records, no longer than is useful, and a sentence where it was cut; None of no rows."""
    if len(table) <= MOST_ROWS:
        return (table if len(table) else None), ()
    return table.slice(0, MOST_ROWS), (f"the table lists the first {MOST_ROWS:,} of {len(table):,} {what}",)
