"""Nights as MLflow knows them: the runs that carry the tag `safelight.night`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice

from cluster.journal import pending
from cluster.results.query import Run, Term, open_store
from cluster.schedule.due import on_day
from cluster.schedule.entries import Entry
from cluster.settings import Settings

NIGHT = "safelight.night"
VERDICT = "safelight.verdict"
AGAINST = "safelight.against"
ROLE = "safelight.role"
CHAMPION = "champion"
MOST_LOOKED_AT = 2000
"""An entry without a night among so many runs is a new one."""
_ENDED = ("FINISHED", "FAILED")


def of_night(key: str, where: Settings) -> list[Run]:
    """The runs of one night, newest first."""
    return list(open_store(where).runs([Term("tag", NIGHT, key)], (), 100))


def of_entry(name: str, where: Settings, terms: Sequence[Term] = ()) -> Iterator[tuple[date, Run]]:
    """The runs of all nights of an entry with their dates, newest first, but not those made for the champion."""
    for run in open_store(where).runs([Term("tag", NIGHT, f"{name}@%", like=True), *terms], (), 200):
        entry, _, day = run.tags[NIGHT].rpartition("@")
        if entry == name and run.tags.get(ROLE) != CHAMPION:
            yield date.fromisoformat(day), run


def last_seen(entries: Sequence[Entry], where: Settings) -> dict[str, datetime]:
    """When the newest night of each entry that has runs was due, for entries that nothing else is known of."""
    found: dict[str, datetime] = {}
    wanted = {entry.name: entry for entry in entries}
    for run in islice(open_store(where).runs([Term("tag", NIGHT, "%", like=True)], (), 200), MOST_LOOKED_AT):
        name, _, day = run.tags[NIGHT].rpartition("@")
        if name in wanted and name not in found:
            found[name] = on_day(wanted[name], date.fromisoformat(day))
        if len(found) == len(wanted):
            break
    return found


def taken(key: str, where: Settings, *, again: bool = False) -> str | None:
    """Why a night need not run: another scheduler ran it or runs it; None if it may.

    A run that a process of this machine left behind when it died is none.

    Args:
        again: whether a night that failed may run again.
    """
    left = {journal.run_id for journal in pending(where.state) if not journal.is_running()}
    for run in of_night(key, where):
        if run.status == "FINISHED" or (run.status in _ENDED and not again):
            return f"it has run {run.run_id[:8]} ({run.status.lower()})"
        if run.status in ("RUNNING", "SCHEDULED") and run.run_id not in left:
            return f"run {run.run_id[:8]} is at it elsewhere"
    return None


def judged_before(name: str, day: date, where: Settings) -> int:
    """On how many earlier nights an entry's gates were judged, whoever was champion; another name begins anew."""
    days = {at for at, _ in of_entry(name, where, [Term("tag", VERDICT, "%", like=True)])}
    return len({at for at in days if at < day})
