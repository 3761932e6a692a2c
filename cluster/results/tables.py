"""Runs, their metrics and their answers as Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from cluster.results.query import Query, Run, search
from jobs.spec import JobFailed

_TIME = pa.timestamp("ms", tz="UTC")
_FACTS = ("output", "error", "user", "commit")
_RENAMED = {"label": "truth"} | {f"predicted_{name}": name for name in ("label", "score", "top_labels", "top_scores")}
"""Other names with that prefix stay: a corpus may have group columns that a model predicted."""

METRICS = pa.schema(
    [("run_id", pa.string()), ("name", pa.string())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("n", pa.int64())]
)


def runs_table(query: Query) -> pa.Table:
    """The runs of a query; see `cluster.results.runs`."""
    return runs_of(search(query))


def runs_of(found: Sequence[Run]) -> pa.Table:
    """Runs as rows. A field that has the name of a fact is the column `field_<name>`."""
    columns: dict[str, pa.Array] = {
        "run_id": pa.array([run.run_id for run in found], pa.string()),
        "job": pa.array([run.job for run in found], pa.string()),
        "status": pa.array([run.status for run in found], pa.string()),
        "started": pa.array([moment(run.started_ms) for run in found], _TIME),
        "ended": pa.array([moment(run.ended_ms) for run in found], _TIME),
    }
    columns |= {name: pa.array([run.fact(name) for run in found], pa.string()) for name in _FACTS}
    for name in dict.fromkeys(name for run in found for name in run.fields):
        column = f"field_{name}" if name in columns else name
        columns[column] = pa.array([run.fields.get(name) for run in found], pa.string())
    return pa.table(columns)


def metrics_of(found: Sequence[Run]) -> pa.Table:
    """Every metric of every run as a row: run_id, name, value, low, high, n (nulls where there is no interval)."""
    rows = [
        (run.run_id, name, estimate.value, estimate.low, estimate.high, estimate.n)
        for run in found
        for name, estimate in run.metrics.items()
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(METRICS)
    arrays = [pa.array(c, f.type, from_pandas=True) for c, f in zip(columns, METRICS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=METRICS)


def predictions_table(run: Run, columns: Sequence[str] = ()) -> pa.Table:
    """What a run answered; see `cluster.results.predictions`.

    Raises:
        JobFailed: if it answered nothing, or its answers are gone.
    """
    from jobs import answers

    if run.output is None:
        raise JobFailed(f"run {run.run_id} ({run.job}) recorded no output: it has no predictions")
    try:
        pieces = [_row_table(run, table, columns) for table in answers.recorded(run.fields, run.output).tables()]
    except (ValueError, OSError) as error:
        raise JobFailed(f"the predictions of run {run.run_id} cannot be read: {error}") from None
    if not pieces:
        raise JobFailed(f"run {run.run_id} answered no record")
    return pa.concat_tables(pieces, promote_options="permissive")


def _row_table(run: Run, table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """The columns of `predictions`: the answer's under its own names, the truth as `truth`, lists only if wanted."""
    named = {_RENAMED.get(name, name): table[name] for name in table.column_names}
    kept = {name: c for name, c in named.items() if not pa.types.is_nested(c.type) or name in columns}
    first = [name for name in ("id", "truth", "label", "score") if name in kept]
    order = [*first, *(name for name in kept if name not in first)]
    return pa.table(
        {"run_id": pa.array([run.run_id] * len(table), pa.string()), **{name: kept[name] for name in order}}
    )


def moment(time_ms: int | None) -> datetime | None:
    """Milliseconds since 1970 as a time in UTC."""
    return None if time_ms is None else datetime.fromtimestamp(time_ms / 1000, UTC)
