"""How a run's metrics changed against its champion, as its gates found them: `tables/gates.parquet` of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cluster.results.open import file
from cluster.results.query import Run
from cluster.settings import Settings, settings
from vision.accumulator import Estimate

AGAINST = "safelight.against"
_TABLE = "tables/gates.parquet"
_COLUMNS = ["metric", "group", "kind", "difference", "difference_low", "difference_high", "n"]
_ASIDE = 8  # files fetched at once from a server

Changes = Mapping[str, Mapping[str, Estimate]]
"""Run id to metric to candidate minus champion, over all images."""


def changes(found: Sequence[Run], metrics: Sequence[str], where: Settings | None = None) -> tuple[Changes, list[str]]:
    """The changes of the runs that were judged against a champion, in these metrics.

    Returns:
        The changes; and the ids of runs whose table of gates cannot be read.
    """
    judged = [run for run in found if AGAINST in run.tags] if metrics else []
    if not judged:
        return {}, []
    with ThreadPoolExecutor(_ASIDE) as pool:
        read = list(pool.map(partial(_changes, metrics=metrics, where=where or settings()), judged))
    known = {run.run_id: found for run, found in zip(judged, read, strict=True) if found is not None}
    return known, [run.run_id for run in judged if run.run_id not in known]


def _changes(run: Run, metrics: Sequence[str], where: Settings) -> dict[str, Estimate] | None:
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(file(run, _TABLE, where), columns=_COLUMNS).to_pylist()
    except (OSError, ValueError):
        return None
    found: dict[str, Estimate] = {}
    # Image by image says most, so where one metric was judged in both ways that is the one to show.
    for row in sorted(rows, key=lambda row: row["kind"] != "paired"):
        if row["metric"] in metrics and not row["group"]:
            found.setdefault(row["metric"], _estimate(row))
    return found


def _estimate(row: Mapping[str, Any]) -> Estimate:
    ends = (row[f"difference{end}"] for end in ("", "_low", "_high"))
    value, low, high = (math.nan if number is None else float(number) for number in ends)
    return Estimate(value, low, high, row["n"] or 0)
