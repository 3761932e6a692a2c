"""One night from its job to its verdict: run, judged, promoted, told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

from cluster.masking import masked
from cluster.schedule import champion as champions
from cluster.schedule import judging, notify, promoting, runs, there, working, writing
from cluster.schedule.champion import Champion
from cluster.schedule.clock import Clock
from cluster.schedule.due import Due, coming
from cluster.schedule.entries import Entry
from cluster.schedule.judging import Candidate
from cluster.schedule.working import Done, Stopped
from cluster.sender import one_line
from cluster.settings import Settings
from jobs.spec import Job

Status = Literal["done", "failed", "stopped", "skipped", "elsewhere"]
Say = Callable[[str], None]
CODES = {"fail": 3, "undecided": 4}


@dataclass(frozen=True)
class Night:
    """What came of a night.

    Attributes:
        status: done; failed; stopped (by `finish_by` or its successor); skipped; elsewhere (another scheduler has it).
        note: why it failed or did not run, or what else is to be said.
        skipped: nights before it that were missed.
        promoted: the reference that its best candidate got.
    """

    entry: str
    day: date
    status: Status
    verdict: str | None = None
    note: str = ""
    against: str | None = None
    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[date, ...] = ()
    promoted: str | None = None

    @property
    def key(self) -> str:
        return f"{self.entry}@{self.day.isoformat()}"

    @property
    def code(self) -> int:
        """The exit code of its `tick`."""
        return 1 if self.status in ("failed", "stopped") else CODES.get(self.verdict or "", 0)

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(one.done.run_id for one in self.candidates if one.done.run_id)


def carry_out(due: Due, where: Settings, clock: Clock, say: Say) -> Night:
    """Run a night and tell of it; whatever fails is in the night that is returned.

    Raises:
        KeyboardInterrupt: passed on.
    """
    night = Night(due.entry.name, due.day, "failed", skipped=due.skipped)
    try:
        night = _worked(due, night, where, clock, say)
    except Stopped as error:
        night = replace(night, status="stopped", note=str(error))
        _mark_stopped(night, where, say)
    except Exception as error:
        # Whatever it was, the nights of the other entries are not to suffer from it.
        night = replace(night, note=one_line(error))
        _mark_failed(night, where, say)
    told(due.entry, night, where, say)
    return night


def told(entry: Entry, night: Night, where: Settings, say: Say) -> None:
    """Notify whom the entry names."""
    if entry.notify is not None:
        notify.notify(entry.notify, document(night, where), say)


def _worked(due: Due, night: Night, where: Settings, clock: Clock, say: Say) -> Night:
    entry, job = due.entry, due.entry.task
    found = champions.find(entry, due.day, job, where) if entry.gates else None
    done = _answer(due, job, found, where, clock, say)
    if not entry.gates or found is None:
        note = f"against {entry.against}: there is no night to compare with yet" if entry.gates else ""
        return _summed(replace(night, note=note), [Candidate(one) for one in done])
    night = replace(night, against=found.name)
    candidates = judging.judge(entry, due.day, done, found, where, say)
    return _promoted(entry, _summed(night, candidates), where, say)


def _summed(night: Night, candidates: Sequence[Candidate]) -> Night:
    """The night with what came of its models."""
    failed = [one.done.error for one in candidates if one.done.error is not None]
    notes = [*failed, *([] if failed else [one.note for one in candidates if one.note])]
    return replace(
        night,
        status="failed" if failed else "done",
        candidates=tuple(candidates),
        verdict=judging.worst([one.verdict for one in candidates]),
        note="; ".join(dict.fromkeys([night.note, *notes] if night.note else notes)),
    )


def _answer(due: Due, job: Job, found: Champion | None, where: Settings, clock: Clock, say: Say) -> list[Done]:
    """The job done, and the champion's part of it: in the same pass, where that leaves the output where it is."""
    extra = None if found is None else found.model
    models = getattr(job, "model", ())
    if extra is None or extra in models:
        return _done(due, job, where, clock, say)
    if getattr(job, "output", None) is None:
        return _done(due, job.model_copy(update={"model": (*models, extra)}), where, clock, say)
    alone = job.model_copy(update={"model": (extra,), "output": None})
    return [*_done(due, alone, where, clock, say), *_done(due, job, where, clock, say)]


def _done(due: Due, job: Job, where: Settings, clock: Clock, say: Say) -> list[Done]:
    tags = {runs.NIGHT: due.key}
    until = _until(due, clock.now())
    if (due.entry.on or ("here" if where.ray_address == "local" else "cluster")) == "cluster":
        return there.there(due.entry, job, tags, due.key, where, say, until, clock)
    return working.here(job, tags, where, say, until, clock)


def _until(due: Due, now: datetime) -> tuple[datetime, str] | None:
    """When the night has to be over, and why then."""
    entry, ends = due.entry, list[tuple[datetime, str]]()
    deadline = entry.deadline(due.at)
    if deadline is not None and deadline > now:
        by = deadline.astimezone(entry.tz)
        ends.append((deadline, f"stopped at {by:%H:%M} (finish_by); what is committed stays for the next time"))
    if entry.overlap == "replace" and entry.at is not None:
        after = next(coming(entry, now), None)
        if after is not None:
            ends.append((after, "replaced by the next night; what is committed stays"))
    return min(ends, default=None)


def _promoted(entry: Entry, night: Night, where: Settings, say: Say) -> Night:
    """The best candidate that passed with the alias; a registry that is away costs a warning."""
    try:
        found = promoting.promote(entry, night.candidates, where)
    except Exception as error:
        say(f"warning: {night.key} passed and was not promoted: {one_line(error)}")
        return night
    if found is None:
        return night
    one, reference = found
    say(f"{night.key}: {one.done.model} is {reference} now")
    if one.done.run_id is not None:
        writing.on_run(one.done.run_id, one.done.job, {"safelight.promoted": reference}, where, say)
    return replace(night, promoted=reference)


def _mark_stopped(night: Night, where: Settings, say: Say) -> None:
    """Say on the runs why they were killed; without any, in one of its own."""
    try:
        killed = [run for run in runs.of_night(night.key, where) if run.status == "KILLED"]
        for run in killed:
            writing.on_run(run.run_id, run.job, {"safelight.error": night.note}, where, say, status="KILLED")
        if not killed:
            writing.instead_of_run(night.key, "error", night.note, where, say)
    except Exception as error:
        say(f"warning: {night.key} could not be marked: {one_line(error)}")


def _mark_failed(night: Night, where: Settings, say: Say) -> None:
    """A run that says why there is none; the reason is on the job's own run where it has one."""
    try:
        if not runs.of_night(night.key, where):
            writing.instead_of_run(night.key, "error", night.note, where, say)
    except Exception as error:
        say(f"warning: {night.key} could not be marked: {one_line(error)}")


def document(night: Night, where: Settings) -> dict[str, Any]:
    """A night as plain JSON values: verdict, and findings of all candidates, worst first."""
    findings = [
        {"model": one.done.model, "run_id": one.done.run_id, **row}
        for one in night.candidates
        if one.judgement is not None
        for row in one.judgement.document()["findings"]
    ]
    order = ("fail", "undecided", "insufficient", "pass")
    return {
        "night": night.key,
        "entry": night.entry,
        "date": night.day.isoformat(),
        "status": night.status,
        "verdict": night.verdict,
        "against": night.against,
        "note": masked(night.note),
        "skipped": [day.isoformat() for day in night.skipped],
        "promoted": night.promoted,
        "runs": [_run(one, where) for one in night.candidates],
        "findings": sorted(findings, key=lambda row: order.index(str(row["verdict"]))),
    }


def _run(one: Candidate, where: Settings) -> Mapping[str, Any]:
    done = one.done
    return {
        "run_id": done.run_id,
        "job": done.job,
        "model": masked(done.model),
        "verdict": one.verdict,
        "error": done.error,
        "output": None if done.output is None else masked(done.output),
        "link": link(done.run_id, where),
    }


def link(run_id: str | None, where: Settings) -> str | None:
    """The page of a run, where a server shows it."""
    if run_id is None or not where.tracking_uri.startswith(("http://", "https://")):
        return None
    from cluster.client import connect

    try:
        experiment = connect(where).get_run(run_id).info.experiment_id
    except Exception:
        return None  # a link is not worth a failure
    return f"{masked(where.tracking_uri)}/#/experiments/{experiment}/runs/{run_id}"
