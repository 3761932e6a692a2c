"""Whom a night's candidates must not be worse than, and the answers that are there of it already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cluster.results.query import Run, Term, find_run, open_store
from cluster.schedule import runs
from cluster.schedule.entries import LATEST, RUN, Entry
from cluster.schedule.figures import figures_of
from cluster.settings import Settings
from jobs.spec import Job, JobFailed, SpecError

if TYPE_CHECKING:
    from jobs.answers import Answers
    from jobs.auditing.gating import Figures


@dataclass(frozen=True)
class Champion:
    """The one to compare with.

    Attributes:
        name: what the tag `safelight.against` says.
        answers: what it answered, where a run holds that.
        model: its reference, where it has to answer tonight.
        figures: what it found, where a job is judged by that.
    """

    name: str
    answers: Answers | None = None
    run_id: str | None = None
    model: str | None = None
    figures: Figures | None = None


def find(entry: Entry, day: date, job: Job, where: Settings) -> Champion | None:
    """The champion of an entry; None for `latest` before there is a night to compare with.

    Raises:
        SpecError: if there is no such run or model.
        JobFailed: if its answers are gone.
    """
    against = entry.against or ""
    if against == LATEST:
        latest = _latest(entry, day, where)
        return None if latest is None else _of_run(latest, job, where)
    if RUN.fullmatch(against):
        return _of_run(find_run(against, where), job, where)
    if job.figures:
        raise SpecError(f"against: an audit is compared with `{LATEST}` or a run's id, got {against!r}")
    for run in _recorded(against, job, where):
        try:
            return Champion(against, answers_of(run), run.run_id)
        except (SpecError, JobFailed, OSError):
            continue  # its answers were removed since: they are made again
    return Champion(against, model=against)


def answers_of(run: Run) -> Answers:
    """What a run answered.

    Raises:
        SpecError: if it answered nothing, or its answers do not fit its corpus any more.
        JobFailed: if they are not complete.
    """
    from jobs.answers import recorded

    if run.output is None:
        raise SpecError(f"run {run.run_id} ({run.job}) has no answers to compare")
    return recorded(run.fields, run.output)


def _of_run(run: Run, job: Job, where: Settings) -> Champion:
    if job.figures:
        return Champion(run.run_id, run_id=run.run_id, figures=figures_of(run, where))
    return Champion(run.run_id, answers_of(run), run.run_id)


def _latest(entry: Entry, day: date, where: Settings) -> Run | None:
    """The newest night that passed; as long as none did, the newest that nothing was compared with."""
    found = [
        run
        for at, run in runs.of_entry(entry.name, where, [Term("attribute", "status", "FINISHED")])
        if at < day and run.output is not None and run.tags.get(runs.VERDICT, "pass") == "pass"
    ]
    passed = [run for run in found if runs.VERDICT in run.tags]
    return next(iter(passed or found), None)


def _recorded(reference: str, job: Job, where: Settings) -> Iterator[Run]:
    """Finished runs in which this very model answered these very records, newest first."""
    from cluster.tracking import Watched
    from jobs.engine import commit
    from jobs.records import Reads, key, open_corpus

    assert isinstance(job, Reads)
    if job.corpus is None:
        raise SpecError(f"against: {reference} can only answer a corpus; give a run's id to compare tables")
    model = Watched(where, _unsaid, _unsaid).model(reference)
    _, corpus = open_corpus(job.corpus)
    facts = {
        "model_digest": model.digest,
        "corpus_digest": corpus.digest,
        "split": corpus.pick_split(job.split),
        "subset": commit.digest(key(job)),
    }
    terms = [Term("tag", f"safelight.{name}", value) for name, value in facts.items()]
    yield from open_store(where).runs([*terms, Term("attribute", "status", "FINISHED")], (), 10)


def _unsaid(_: object) -> None:
    """Looking a model up is nothing to tell."""
