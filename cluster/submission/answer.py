"""The document that a job printed on the cluster, shown here as `safelight run` would have shown it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import click

from jobs.spec import Report
from vision.accumulator import Estimate


def show(document: Mapping[str, Any], form: str) -> None:
    """Print a job's document, as `text` or `json`."""
    from cluster.document import to_json
    from cluster.running import print_report

    if form == "json":
        click.echo(to_json(document), nl=False)
        return
    for one in document.get("runs", [document]):
        print_report(report(one), one["run_id"])


def report(document: Mapping[str, Any]) -> Report:
    """The report that a document tells of, but for its tables and tags."""
    return Report(
        metrics=_estimates(document["metrics"]),
        groups=tuple((group["by"], _estimates(group["metrics"])) for group in document["groups"]),
        output=document["output"],
        errors=document["errors"],
        notes=tuple(document["notes"]),
    )


def _estimates(values: Mapping[str, Mapping[str, float | None]]) -> dict[str, Estimate]:
    return {
        name: Estimate(_known(one["value"]), _known(one["low"]), _known(one["high"]), int(one["n"] or 0))
        for name, one in values.items()
    }


def _known(number: float | None) -> float:
    return math.nan if number is None else number
