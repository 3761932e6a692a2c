"""Runs as a text table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from cluster.document import estimates
from cluster.results.changes import Changes
from cluster.results.query import Run
from cluster.results.tables import moment, runs_of
from vision.accumulator import Estimate

_TELLING = ("corpus", "split", "model", "predictions", "table", "by", "where", "source", "net", "output")
"""Fields that tell runs apart best, tried first."""

_FIELDS = 3
_NO_CHANGES: Changes = MappingProxyType({})


def as_json(found: Sequence[Run], changes: Changes = _NO_CHANGES) -> list[dict[str, Any]]:
    """Runs as plain values, times in ISO 8601."""
    return [
        {
            "run_id": run.run_id,
            "job": run.job,
            "status": run.status,
            "started": iso(run.started_ms),
            "ended": iso(run.ended_ms),
            "output": run.output,
            "fields": run.fields,
            "tags": {name: value for name, value in run.facts.items() if name != "journal"},
            "metrics": estimates(run.metrics),
            "change": estimates(changes.get(run.run_id, {})),
        }
        for run in found
    ]


def as_csv(found: Sequence[Run], metrics: Sequence[str], changes: Changes = _NO_CHANGES) -> str:
    """Runs as CSV, a column a field, then `<metric>`, `<metric>.low`, `.high`, `.n` and `<metric>.change` likewise."""
    table = runs_of(found)
    names = [f"{name}{change}" for name in metrics for change in ("", ".change")]
    columns = [*table.column_names, *(f"{name}{end}" for name in names for end in ("", ".low", ".high", ".n"))]
    rows: list[dict[str, Any]] = table.to_pylist()
    for row, run in zip(rows, found, strict=True):
        changed = {f"{name}.change": estimate for name, estimate in changes.get(run.run_id, {}).items()}
        for name, values in estimates({**run.metrics, **changed}).items():
            row |= {f"{name}{'' if end == 'value' else f'.{end}'}": value for end, value in values.items()}
    return csv_text(rows, columns)


def as_text(found: Sequence[Run], metrics: Sequence[str], one_job: bool, changes: Changes = _NO_CHANGES) -> str:
    """Runs as lines: id, time, job, status, the fields in which they differ, and metrics with their intervals.

    Behind a metric in which a run was judged stands its `change` against the champion.
    """
    fields = telling(found)
    judged = {name for known in changes.values() for name in known}
    head = [column for name in metrics for column in (name, *(["change"] if name in judged else []))]
    rows = [["run", "started", *([] if one_job else ["job"]), "status", *fields, *head]]
    for run in found:
        job, known = [] if one_job else [run.job], changes.get(run.run_id, {})
        values = [short(run.fields.get(name, "")) for name in fields]
        numbers = []
        for name in metrics:
            numbers += [
                estimate_text(run.metrics.get(name)),
                *([change_text(known.get(name))] if name in judged else []),
            ]
        rows.append([run.run_id[:8], local(run.started_ms), *job, run.status.lower(), *values, *numbers])
    return aligned(rows)


def telling(found: Sequence[Run]) -> list[str]:
    """The few fields in which the runs differ; of a single run, those that say most."""
    names = dict.fromkeys([*_TELLING, *(name for run in found for name in run.fields)])
    values = {name: {run.fields.get(name, "") for run in found} for name in names}
    if len(found) <= 1:
        return [name for name in _TELLING if any(values[name] - {""})][:_FIELDS]
    return [name for name in names if len(values[name]) > 1][:_FIELDS]


def estimate_text(estimate: Estimate | None) -> str:
    """`0.8467 (0.8016-0.8831)`, or the bare value where there is no interval."""
    if estimate is None or not math.isfinite(estimate.value):
        return "-"
    value = f"{estimate.value:.4f}"
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return value
    return f"{value} ({estimate.low:.4f}-{estimate.high:.4f})"


def change_text(estimate: Estimate | None) -> str:
    """`-0.0600 (-0.0680 to -0.0520)`: candidate minus champion."""
    if estimate is None or not math.isfinite(estimate.value):
        return "-"
    value, known = f"{estimate.value:+.4f}", math.isfinite(estimate.low) and math.isfinite(estimate.high)
    return f"{value} ({estimate.low:+.4f} to {estimate.high:+.4f})" if known else value


def csv_text(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows of any values as CSV with a head; what is not known is empty, lists are JSON."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        values = [plain(record.get(name)) for name in columns]
        writer.writerow(json.dumps(value) if isinstance(value, (list, dict)) else value for value in values)
    return stream.getvalue()


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text with their columns below each other; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def records_text(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows of any values as a text table."""
    return aligned([list(columns), *([_cell(record[name]) for name in columns] for record in records)])


def plain(value: Any) -> Any:
    """A value as JSON has it: times as ISO 8601, bytes by their number, nan as null."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def iso(time_ms: int | None) -> str | None:
    """`2026-01-31T04:00:00.000+00:00`."""
    time = moment(time_ms)
    return None if time is None else time.isoformat(timespec="milliseconds")


def local(time_ms: int) -> str:
    """A time as the clock on the wall shows it."""
    time = moment(time_ms)
    assert time is not None
    return f"{time.astimezone():%Y-%m-%d %H:%M}"


def _cell(value: Any) -> str:
    value = plain(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else str(value)


def short(text: str, limit: int = 40) -> str:
    """The end of a reference says more than its beginning."""
    return text if len(text) <= limit else "..." + text[3 - limit :]
