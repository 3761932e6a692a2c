"""Nights of jobs whose metrics are judged as they are: the figures that a run left, and its champion's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cluster.results.open import file
from cluster.results.query import Run, find_run
from cluster.schedule.working import Done
from cluster.settings import Settings
from jobs.spec import JobFailed, SpecError

if TYPE_CHECKING:
    from cluster.schedule.entries import Entry
    from jobs.auditing.gating import Figures
    from jobs.gates import Judgement

DOCUMENT = "report.json"


def figures_of(run: Run, where: Settings) -> Figures:
    """What a run found.

    Raises:
        JobFailed: if its document is gone.
        SpecError: if it is no run of a job with figures.
    """
    from jobs.auditing.gating import Figures

    try:
        found = json.loads(file(run, DOCUMENT, where).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise JobFailed(f"run {run.run_id} ({run.job}) has no {DOCUMENT} to compare with: {error}") from None
    if run.job != "audit":
        raise SpecError(f"run {run.run_id} is one of {run.job}, and an audit is compared with an audit")
    return Figures.of(found, run.facts)


def judged(
    entry: Entry, baseline: Figures, wanted: Sequence[Done], night: int, where: Settings
) -> tuple[Mapping[str, Judgement], Mapping[str, str]]:
    """Judgements by job, and why others have none."""
    from jobs.auditing.gating import judge_all, refuse_same

    found: dict[str, Figures] = {}
    notes: dict[str, str] = {}
    for one in wanted:
        if one.error is not None or one.run_id is None:
            notes[one.job] = one.error or "it left no run"
            continue
        figures = figures_of(find_run(one.run_id, where), where)
        try:
            refuse_same(baseline, figures)
            found[one.job] = figures
        except SpecError as error:
            notes[one.job] = str(error)
    return (judge_all(entry.gates, baseline, found, night) if found else {}), notes
