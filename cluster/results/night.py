"""What a night found, as one document: worse, not run, undecided, better, unchanged; worst first.

It reads what the runs of the night recorded, their tags and `tables/gates.parquet`, and judges nothing itself.
"""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from cluster.masking import masked
from cluster.results import nights
from cluster.results.open import file, link
from cluster.results.query import Run, open_store
from cluster.settings import Settings, settings

OUTCOMES = ("worse", "not run", "undecided", "better", "unchanged", "no gate")
"""Worst first. `unchanged`: within the margin, and not shown to be better; `no gate`: measured, not judged."""

_TABLE = "tables/gates.parquet"
_OUTCOME = {"fail": "worse", "undecided": "undecided", "insufficient": "undecided", "pass": "unchanged"}
_NUMBERS = ("baseline", "candidate", "difference")
_ASIDE = 8  # files fetched at once from a server


def document(date: str | None = None, where: Settings | None = None) -> dict[str, Any]:
    """A night as plain JSON values: what the page shows and a webhook gets.

    Args:
        date: YYYY-MM-DD; None: the newest night there is.

    Returns:
        date; worst, the first outcome of `OUTCOMES` that occurs (None if nothing ran); counts by outcome; findings,
        each with outcome, entry, model, against, group, metric, margin, baseline, candidate and difference ({value,
        low, high} or None), n, needed, verdict, cause, sentence, run_id and link (an address or a path, or None).

    Raises:
        SpecError: if there was no such night.
        JobFailed: if MLflow cannot be reached.
    """
    where = where or settings()
    store = open_store(where)
    date = nights.newest(store) if date is None else nights.parsed(date)
    runs = nights.of_date(store, date)
    with ThreadPoolExecutor(_ASIDE) as pool:
        rows = [row for found in pool.map(partial(_findings, where=where), runs) for row in found]
    rows += [_not_run(entry, last) for entry, last in nights.missing(store, date, runs).items()]
    rows.sort(key=_rank)
    counts = Counter(row["outcome"] for row in rows)
    return {
        "date": date,
        "worst": rows[0]["outcome"] if rows else None,
        "counts": {name: counts[name] for name in OUTCOMES},
        "findings": [{name: value for name, value in row.items() if name != "loss"} for row in rows],
    }


def _findings(run: Run, where: Settings) -> list[dict[str, Any]]:
    """What one run adds to the night."""
    base = _base(run, where)
    if run.status != "FINISHED" or run.job == nights.PLACEHOLDER or run.fact("skipped"):
        return [base | {"outcome": "not run", "cause": _why_not(run)}]
    verdict = run.fact("verdict")
    if verdict is None:
        return [base | {"outcome": "no gate", "sentence": "measured, and judged by no gate"}]
    try:
        rows = pq.read_table(file(run, _TABLE, where)).to_pylist()
    except (OSError, ValueError) as error:
        told = f"the run says {verdict}, and its table of gates cannot be read: {masked(str(error).splitlines()[0])}"
        return [base | {"outcome": _OUTCOME.get(verdict, "undecided"), "verdict": verdict, "sentence": told}]
    return [base | found for found in _judged(rows, run.fields.get("task") or "classification")]


def _base(run: Run, where: Settings) -> dict[str, Any]:
    empty = dict.fromkeys(("group", "metric", "margin", *_NUMBERS, "n", "needed", "verdict", "cause", "sentence"))
    return empty | {
        "outcome": "",
        "entry": nights.entry_and_date(run)[0],
        "model": nights.answered(run) or None,
        "against": run.fact("against"),
        "run_id": run.run_id,
        "link": link(run, where),
        "loss": 0.0,
    }


def _not_run(entry: str, last: str) -> dict[str, Any]:
    names = ("group", "metric", "margin", *_NUMBERS, "n", "needed", "verdict", "sentence", "model", "against")
    cause = f"there is no record of this night; it ran on {last}"
    empty = dict.fromkeys((*names, "run_id", "link"))
    return empty | {"outcome": "not run", "entry": entry, "cause": cause, "loss": 0.0}


def _why_not(run: Run) -> str:
    told = run.fact("skipped") or run.fact("error")
    if told:
        return told
    return "it still runs" if run.status in ("RUNNING", "SCHEDULED") else f"it was {run.status.lower()}"


def _judged(rows: list[dict[str, Any]], task: str) -> Iterator[dict[str, Any]]:
    """Rows of the table of gates as findings; `loss` orders them."""
    for row in rows:
        difference = _estimate(row, "difference")
        sign = 1.0 if _upwards(task, str(row["metric"])) else -1.0
        outcome = _OUTCOME.get(str(row["verdict"]), "undecided")
        if outcome == "unchanged" and difference is not None and _above(difference, sign):
            outcome = "better"
        names = ("group", "metric", "margin", "n", "needed", "verdict", "cause", "sentence")
        yield {name: row.get(name) for name in names} | {
            "outcome": outcome,
            **{name: _estimate(row, name) for name in _NUMBERS},
            "loss": 0.0 if difference is None else -sign * difference["value"],
        }


def _estimate(row: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = row.get(name)
    if value is None or not math.isfinite(value):
        return None
    return {"value": value, "low": row.get(f"{name}_low"), "high": row.get(f"{name}_high")}


def _above(difference: Mapping[str, Any], sign: float) -> bool:
    """Whether the whole interval lies on the good side of zero."""
    ends = [difference["low"], difference["high"]]
    return all(end is not None and sign * end > 0 for end in ends)


def _upwards(task: str, metric: str) -> bool:
    from vision import names
    from vision.fairness.direction import higher_is_better

    with contextlib.suppress(ValueError):  # figures of audits, and gaps of any room's rates
        return higher_is_better(metric)
    try:
        return bool(names.room(task).higher_is_better(metric))
    except (ValueError, AttributeError):  # a room that compares nothing: larger is better, as for most metrics
        return True


def _rank(row: Mapping[str, Any]) -> tuple[int, float, str, str, str]:
    return OUTCOMES.index(row["outcome"]), -row["loss"], row["entry"], row["model"] or "", row["group"] or ""
