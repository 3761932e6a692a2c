"""Runs as a text table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cluster.document import estimates
from cluster.results.query import Run
from cluster.results.tables import moment
from vision.accumulator import Estimate

_TELLING = ("corpus", "split", "model", "predictions", "table", "by", "where", "source", "net", "output")
"""Fields that tell runs apart best, tried first."""

_FIELDS = 3


def as_json(found: Sequence[Run]) -> list[dict[str, Any]]:
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
        }
        for run in found
    ]


def as_text(found: Sequence[Run], metrics: Sequence[str], one_job: bool) -> str:
    """Runs as lines: id, time, job, status, the fields in which they differ, and metrics with their intervals."""
    fields = telling(found)
    rows = [["run", "started", *([] if one_job else ["job"]), "status", *fields, *metrics]]
    for run in found:
        job = [] if one_job else [run.job]
        numbers = [estimate_text(run.metrics.get(name)) for name in metrics]
        values = [short(run.fields.get(name, "")) for name in fields]
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
