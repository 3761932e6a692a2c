"""A report as the one JSON document that `--format json` prints, and its groups as a table.

`metrics` and `groups` hold nothing that changes from run to run, so equal work gives equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from jobs.spec import Report
from vision.accumulator import Estimate


def document(job: str, run_id: str | None, report: Report, tables: Mapping[str, str]) -> dict[str, Any]:
    """The document of a report.

    Args:
        tables: where each table lies, by name.
    """
    return {
        "job": job,
        "run_id": run_id,
        "output": report.output,
        "metrics": estimates(report.metrics),
        "groups": [{"by": dict(by), "metrics": estimates(metrics)} for by, metrics in report.groups],
        "errors": report.errors,
        "tables": dict(tables),
        "notes": list(report.notes),
    }


def to_json(value: Any) -> str:
    """JSON with two spaces of indentation; there is no nan in it."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def estimates(metrics: Mapping[str, Estimate]) -> dict[str, dict[str, float | int | None]]:
    """Estimates as plain values; what is not known is null."""
    return {
        name: {
            "value": _known(e.value),
            "low": _known(e.low),
            "high": _known(e.high),
            "n": int(e.n),
        }
        for name, e in metrics.items()
    }


def flat(metrics: Mapping[str, Estimate]) -> dict[str, float]:
    """Estimates under the names MLflow has for them: `top1`, `top1.low`, `top1.high`, `top1.n`; nan is left out."""
    values: dict[str, float] = {}
    for name, estimate in metrics.items():
        for part, number in (("", estimate.value), (".low", estimate.low), (".high", estimate.high)):
            if math.isfinite(number):
                values[name + part] = float(number)
        values[f"{name}.n"] = float(estimate.n)
    return values


def unflat(values: Mapping[str, float]) -> dict[str, Estimate]:
    """`flat` backwards; a number without an interval (a loss, a rate) has nan for its bounds and 0 for n."""
    ends = (".low", ".high", ".n")
    names = [n for n in values if not (n.endswith(ends) and f"{n.rsplit('.', 1)[0]}.n" in values)]
    names += [n[:-2] for n in values if n.endswith(".n") and n[:-2] not in values]
    return {
        name: Estimate(
            values.get(name, math.nan),
            values.get(f"{name}.low", math.nan),
            values.get(f"{name}.high", math.nan),
            int(values.get(f"{name}.n", 0)),
        )
        for name in sorted(names)
    }


def groups_table(report: Report) -> pa.Table:
    """One row a group and metric: the group's columns as text, then metric, value, low, high, n."""
    columns = sorted({name for by, _ in report.groups for name in by})
    rows = [
        {**by, "metric": name, **values} for by, metrics in report.groups for name, values in estimates(metrics).items()
    ]
    schema = pa.schema(
        [(name, pa.string()) for name in columns]
        + [("metric", pa.string())]
        + [(name, pa.float64()) for name in ("value", "low", "high")]
        + [("n", pa.int64())]
    )
    return pa.Table.from_pylist(rows, schema)


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
