"""What is due: pure functions of the entries, what was seen to, and now.

Cron times are cronsim's, which does at daylight-saving changes what Debian's cron does: a night at 02:30 in the
spring gap runs once, at 03:00, and in the autumn fold once, at the first 02:30.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType

from cronsim import CronSim

from cluster.schedule.entries import Entry

MOST_MISSED = 400
"""How many missed nights are named; a machine that slept longer has other worries."""


@dataclass(frozen=True)
class Due:
    """A night that is to run now.

    Attributes:
        at: when it was due, UTC; a chained night has the time of the first in its chain.
        day: the date in the entry's zone that names the night.
        late: whether it comes later than the entry's `late_s`: it is caught up.
        skipped: nights before it that were missed and will not run, oldest first.
        missed: whether this night itself is missed, and only named (`catch_up: none`).
    """

    entry: Entry
    at: datetime
    day: date
    late: bool = False
    skipped: tuple[date, ...] = ()
    missed: bool = False

    @property
    def key(self) -> str:
        return self.entry.key(self.day)


def due(
    entries: Sequence[Entry],
    since: Mapping[str, datetime],
    now: datetime,
    done: Mapping[str, datetime] = MappingProxyType({}),
) -> list[Due]:
    """The nights that are due: of each entry the newest, and chained nights behind the one they wait for.

    Args:
        entries: in an order in which each comes after the one it waits for (as `reading.read` gives them).
        since: until when each entry was seen to, as moments with a zone; an entry that is not there is new, and only
            what is not too late for it counts.
        now: a moment with a zone.
        done: when the last night was due that each entry has behind it.
    """
    found: dict[str, Due] = {}
    for entry in entries:
        begun = since.get(entry.name, now - timedelta(seconds=entry.late_s))
        one = _newest(entry, begun, now) if entry.after is None else _behind(entry, begun, found, done)
        if one is not None:
            found[entry.name] = one
    return sorted(found.values(), key=lambda night: night.at)


def _behind(entry: Entry, since: datetime, found: Mapping[str, Due], done: Mapping[str, datetime]) -> Due | None:
    """The night of a chained entry: with the one it waits for, or after it where a scheduler died between the two."""
    before = found.get(entry.after or "")
    if before is not None:
        return replace(before, entry=entry)
    at = done.get(entry.after or "")
    return None if at is None or at <= since else Due(entry, at, _day(entry, at))


def _newest(entry: Entry, since: datetime, now: datetime) -> Due | None:
    times: list[datetime] = []
    for at in backwards(entry, now):
        if at <= since.astimezone(UTC) or len(times) > MOST_MISSED:
            break
        times.append(at)
    if not times:
        return None
    at, days = times[0], [_day(entry, time) for time in times]
    late = now - at > timedelta(seconds=entry.late_s)
    skipped = tuple(reversed(days[1:]))
    return Due(entry, at, days[0], late, skipped, missed=late and entry.catch_up == "none")


def backwards(entry: Entry, now: datetime) -> Iterator[datetime]:
    """Times of an entry at or before `now`, UTC, newest first."""
    # The library gives what lies strictly before a whole minute.
    local = now.astimezone(entry.tz).replace(second=0, microsecond=0)
    start = (local.astimezone(UTC) + timedelta(minutes=1)).astimezone(entry.tz)
    for at in CronSim(entry.at or "", start, reverse=True):
        yield at.astimezone(UTC)


def coming(entry: Entry, now: datetime) -> Iterator[datetime]:
    """Times of an entry after `now`, UTC, soonest first."""
    for at in CronSim(entry.at or "", now.astimezone(entry.tz)):
        yield at.astimezone(UTC)


def _day(entry: Entry, at: datetime) -> date:
    return at.astimezone(entry.tz).date()


def on_day(entry: Entry, day: date) -> datetime:
    """When the entry's night of a date is due, UTC; the date's beginning where it has none."""
    start = datetime(day.year, day.month, day.day, tzinfo=entry.tz)
    if entry.at is not None:
        first = next(coming(entry, start - timedelta(minutes=1)), None)
        if first is not None and _day(entry, first) == day:
            return first
    return start.astimezone(UTC)
