"""What is due now, run once whoever else ticks: claimed, chained, skipped where it must be, and written down."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta

from cluster import reach
from cluster.results.push import push
from cluster.schedule import night as nights
from cluster.schedule import runs, writing
from cluster.schedule.clock import Clock
from cluster.schedule.due import Due, due, on_day
from cluster.schedule.entries import Entry
from cluster.schedule.ledger import Ledger, Record
from cluster.schedule.night import Night
from cluster.settings import Settings
from jobs.spec import JobFailed, SpecError, nearest

MOST_RECORDED = 31
"""So many missed nights of one entry get a run that says so; all of them are told."""

Say = Callable[[str], None]


def tick(entries: Sequence[Entry], where: Settings, clock: Clock, say: Say, only: str | None = None) -> list[Night]:
    """Run what is due.

    Args:
        entries: as `reading.read` gives them.
        only: an entry with a time of its own: it and what is chained to it.

    Raises:
        SpecError: if there is no such entry.
        KeyboardInterrupt: passed on; the night is due again.
    """
    chosen = entries if only is None else _with_chained(entries, only)
    ledger, now = Ledger(where.state), clock.now()
    records = ledger.records()
    done = {name: one.at for name, one in records.items() if one.at is not None and one.status == "done"}
    todo = due(chosen, since(chosen, ledger, where), now, done)
    seen = {night.entry.name for night in todo}
    for entry in chosen:
        if entry.name not in seen and not ledger.is_held(entry.name):
            ledger.change(entry.name, since=max(now, records.get(entry.name, Record()).since or now))
    return list(_in_order(todo, entries, ledger, where, clock, say))


def again(entries: Sequence[Entry], name: str, day: date, where: Settings, clock: Clock, say: Say) -> Night:
    """Run the night of a date now, whenever it was due, unless it was finished.

    Raises:
        SpecError: if there is no such entry.
    """
    entry = _entry(entries, name)
    # Whoever asks for a night by its date wants it now: it has no hour to end by.
    free = entry.model_copy(update={"finish_by": None})
    return _claimed(Due(free, on_day(entry, day), day), Ledger(where.state), where, clock, say, by_hand=True)


def since(entries: Sequence[Entry], ledger: Ledger, where: Settings) -> dict[str, datetime]:
    """Until when each entry was seen to: by its record, else by its newest run."""
    records = ledger.records()
    found: dict[str, datetime] = {}
    for entry in entries:
        record = records.get(entry.name, Record())
        if record.since is not None:
            found[entry.name] = record.since
        if record.status == "running" and record.at is not None:
            if ledger.is_held(entry.name):
                found[entry.name] = max(record.at, record.since or record.at)
            else:
                # Its scheduler died in its first night ever: that night is due still.
                found.setdefault(entry.name, record.at - timedelta(seconds=1))
    new = [entry for entry in entries if entry.name not in found]
    return found | (_seen(new, where) if new else {})


def _seen(entries: Sequence[Entry], where: Settings) -> dict[str, datetime]:
    try:
        return runs.last_seen(entries, where)
    except JobFailed:
        return {}  # a server that is away says nothing; whoever needs it will be told


def _in_order(
    todo: Sequence[Due], entries: Sequence[Entry], ledger: Ledger, where: Settings, clock: Clock, say: Say
) -> Iterator[Night]:
    found: dict[str, Night] = {}
    for one in todo:
        before = found.get(one.entry.after or "")
        if before is not None and before.status == "elsewhere":
            continue  # whoever runs the one before runs this one too
        if before is not None and before.status != "done":
            night = _skipped(one, f"after {before.entry}, which was {before.status}", ledger, where, clock, say)
        else:
            night = _claimed(one, ledger, where, clock, say)
        found[one.entry.name] = night
        yield night


def _claimed(one: Due, ledger: Ledger, where: Settings, clock: Clock, say: Say, *, by_hand: bool = False) -> Night:
    """The night, run if no other process has it; an earlier night that still runs is met as the entry says."""
    entry = one.entry
    if one.missed:
        return _skipped(one, "missed: no scheduler ran", ledger, where, clock, say)
    deadline = entry.deadline(one.at)
    if deadline is not None and deadline <= clock.now():
        return _skipped(one, f"it is past {entry.finish_by:%H:%M} (finish_by)", ledger, where, clock, say)
    with ledger.hold(entry.name, sleep=clock.sleep) as free:
        if free:
            return _run(one, ledger, where, clock, say, by_hand)
    running = ledger.record(entry.name).day
    if running == one.day:
        return Night(entry.name, one.day, "elsewhere", note="another scheduler runs it")
    if entry.overlap == "skip":
        return _skipped(one, f"the night of {running} still runs", ledger, where, clock, say)
    say(f"{one.key} waits for the night of {running}")
    with ledger.hold(entry.name, wait=True, sleep=clock.sleep):
        return _run(one, ledger, where, clock, say, by_hand)


def _run(one: Due, ledger: Ledger, where: Settings, clock: Clock, say: Say, by_hand: bool) -> Night:
    """The night, with its entry's lock held."""
    name, record = one.entry.name, ledger.record(one.entry.name)
    if record.day == one.day and record.status in (("done",) if by_hand else ("done", "failed", "stopped", "skipped")):
        return Night(name, one.day, "elsewhere", record.verdict, note=f"it was {record.status} already")
    if not by_hand and _overlapped(one, record):
        return _skipped(one, f"the night of {record.day} still ran then", ledger, where, clock, say)
    died = record.day == one.day and record.status == "running"  # nobody holds its lock, or we would not
    if died:
        _bury(where)
    reason = None if died else _taken(one, where, by_hand)
    if reason is not None:
        ledger.change(name, since=_later(record, one), at=one.at, day=one.day, status="done", note=reason)
        return Night(name, one.day, "elsewhere", note=reason)
    ledger.change(name, day=one.day, at=one.at, status="running", ended=None, verdict=None, note="", runs=())
    say(f"{one.key}: {one.entry.job} begins" + (", late" if one.late else ""))
    _record_missed(one, where, say)
    night = nights.carry_out(one, where, clock, say)
    ledger.change(
        name, since=_later(record, one), ended=clock.now(), status=night.status, verdict=night.verdict,
        note=night.note, runs=night.runs,
    )  # fmt: skip
    return night


def _later(record: Record, one: Due) -> datetime:
    return one.at if record.since is None else max(record.since, one.at)


def _overlapped(one: Due, record: Record) -> bool:
    """Whether the night before was still at work when this one was due, though it is over by now."""
    if one.entry.overlap != "skip" or one.entry.after is not None or record.ended is None or record.at is None:
        return False
    return record.at < one.at < record.ended and record.status != "skipped"


def _taken(one: Due, where: Settings, by_hand: bool) -> str | None:
    try:
        reach.check(where)
        return runs.taken(one.key, where, again=by_hand)
    except JobFailed:
        return None  # the night itself will say that the server is away


def _bury(where: Settings) -> None:
    """Tell MLflow that the runs of a scheduler that died have ended; the night goes on from what is committed."""
    with contextlib.suppress(JobFailed, OSError):
        push(where, _unsaid)


def _unsaid(_line: str) -> None:
    """Old records that are sent are nothing to tell at night."""


def _record_missed(one: Due, where: Settings, say: Say) -> None:
    if not one.skipped:
        return
    say(f"{one.entry.name}: missed {', '.join(day.isoformat() for day in one.skipped)}")
    for day in one.skipped[-MOST_RECORDED:]:
        writing.instead_of_run(one.entry.key(day), "skipped", "missed: no scheduler ran", where, say)


def _skipped(one: Due, reason: str, ledger: Ledger, where: Settings, clock: Clock, say: Say) -> Night:
    """A night that does not run: recorded, told, and seen to."""
    night = Night(one.entry.name, one.day, "skipped", note=reason, skipped=one.skipped)
    say(f"{one.key} is skipped: {reason}")
    _record_missed(one, where, say)
    writing.instead_of_run(one.key, "skipped", reason, where, say)
    record = ledger.record(one.entry.name)
    if record.status == "running":
        ledger.change(one.entry.name, since=_later(record, one))  # the record is the running night's
    else:
        ledger.change(
            one.entry.name, since=_later(record, one), day=one.day, at=one.at, ended=clock.now(), status="skipped",
            verdict=None, note=reason, runs=(),
        )  # fmt: skip
    nights.told(one.entry, night, where, say)
    return night


def _with_chained(entries: Sequence[Entry], name: str) -> list[Entry]:
    first = _entry(entries, name)
    if first.after is not None:
        raise SpecError(f"{name} runs after {first.after}: tick that one, or name a --date")
    names = {name}
    for entry in entries:
        if entry.after in names:
            names.add(entry.name)
    return [entry for entry in entries if entry.name in names]


def _entry(entries: Sequence[Entry], name: str) -> Entry:
    for entry in entries:
        if entry.name == name:
            return entry
    raise SpecError(f"there is no entry {name!r}{nearest(name, [entry.name for entry in entries])}")


def code(found: Sequence[Night]) -> int:
    """The exit code of several nights: 1 if one failed, else 3 for a failed gate, else 4 for an undecided one."""
    codes = {night.code for night in found}
    return next((code for code in (1, 3, 4) if code in codes), 0)
