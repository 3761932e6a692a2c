"""Runs beside a joint answer: each run's metrics and how far it is from the joint one, image by image, in one pass."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from jobs import pairing
from jobs.answers import Answers
from jobs.spec import SpecError
from vision.accumulator import Estimate
from vision.comparison import Paired
from vision.contribution import PerImage

Metrics = dict[str, Estimate]


def each_beside(
    joint: Answers, runs: Mapping[str, Answers], room: Any, metrics: Collection[str]
) -> tuple[pa.Table, dict[str, Metrics]]:
    """Every run beside the joint answers, by all metrics that are means over images.

    Args:
        runs: by the name to call them.
        room: says how its metrics are compared.
        metrics: those of the joint answers.

    Returns:
        a row for each metric and run, the joint answers first; and the runs' estimates by name.
    """
    kinds = {metric: kind for metric in metrics if (kind := _kind(room, metric)) is not None}
    states = {(metric, name): pairing.zero(kind) for name in runs for metric, kind in kinds.items()}
    for name, meeting in pairing.meetings(joint, runs):
        for metric, kind in kinds.items():
            batch, _ = pairing.side_by_side(meeting, metric, kind)
            states[metric, name] = states[metric, name].update(batch)
    found = {key: state.compute() for key, state in states.items()}
    rows = []
    for metric in kinds:
        of_all = [found[metric, name] for name in runs]
        rows += [_row(metric, "joint", of_all[0]["baseline"])] if of_all else []
        for name, estimates in zip(runs, of_all, strict=True):
            state = states[metric, name]
            p = state.mcnemar_p() if isinstance(state, Paired) else None
            rows.append(_row(metric, name, estimates["candidate"], estimates["difference"], p))
    return pa.Table.from_pylist(rows, _SCHEMA), _by_run(runs, found)


_SCHEMA = pa.schema([
    ("metric", pa.string()), ("run", pa.string()), ("value", pa.float64()), ("low", pa.float64()),
    ("high", pa.float64()), ("minus_joint", pa.float64()), ("minus_joint_low", pa.float64()),
    ("minus_joint_high", pa.float64()), ("mcnemar_p", pa.float64()), ("n", pa.int64()),
])  # fmt: skip


def _kind(room: Any, metric: str) -> PerImage | None:
    try:
        kind = pairing.kind_of(room, metric)
    except SpecError:
        return None
    return kind if isinstance(kind, PerImage) else None


def _row(
    metric: str, run: str, value: Estimate, apart: Estimate | None = None, p: float | None = None
) -> dict[str, Any]:
    row = {"metric": metric, "run": run, "value": value.value, "low": value.low, "high": value.high, "n": value.n}
    if apart is None:
        return row
    limits = {"minus_joint": apart.value, "minus_joint_low": apart.low, "minus_joint_high": apart.high}
    return {**row, **limits, "mcnemar_p": p}


def _by_run(runs: Mapping[str, Answers], found: Mapping[tuple[str, str], Metrics]) -> dict[str, Metrics]:
    return {
        name: {metric: estimates["candidate"] for (metric, run), estimates in found.items() if run == name}
        for name in runs
    }
