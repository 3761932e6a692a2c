"""Due times: daylight saving in Berlin, missed and late nights, chains. All pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.schedule.due import coming, due, on_day
from cluster.schedule.entries import Entry
from cluster.schedule.reading import parse

BERLIN = ZoneInfo("Europe/Berlin")


def entries(*more: dict[str, object], **words: object) -> tuple[Entry, ...]:
    first = {"name": "faces", "at": "30 2 * * *", "zone": "Europe/Berlin", "evaluate": {"table": "x"}, **words}
    return parse([first, *more])


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def nights_of(found: Sequence[Entry], start: datetime, end: datetime, step: timedelta) -> list[tuple[str, datetime]]:
    """What a loop would run that looks every `step`, and records what it ran."""
    since, now, ran = {found[0].name: start}, start, []
    while now <= end:
        for one in due(found, since, now):
            ran.append((one.key, one.at))
        since, now = {found[0].name: now}, now + step
    return ran


def test_a_night_in_the_gap_of_spring_runs_once() -> None:
    """On 29 March 2026 the clock went from 02:00 CET to 03:00 CEST: 02:30 did not exist."""
    ran = nights_of(entries(), utc(2026, 3, 27, 12), utc(2026, 3, 31), timedelta(minutes=10))
    assert ran == [
        ("faces@2026-03-28", utc(2026, 3, 28, 1, 30)),
        ("faces@2026-03-29", utc(2026, 3, 29, 1, 0)),
        ("faces@2026-03-30", utc(2026, 3, 30, 0, 30)),
    ]


def test_a_night_in_the_fold_of_autumn_runs_once() -> None:
    """On 25 October 2026 02:30 came twice: at 00:30 and at 01:30 UTC."""
    ran = nights_of(entries(), utc(2026, 10, 24, 12), utc(2026, 10, 27), timedelta(minutes=10))
    assert ran == [("faces@2026-10-25", utc(2026, 10, 25, 0, 30)), ("faces@2026-10-26", utc(2026, 10, 26, 1, 30))]


@given(st.integers(0, 23), st.integers(0, 59), st.integers(1, 2000))
@settings(max_examples=25, deadline=None)
def test_every_date_of_a_year_has_one_night(hour: int, minute: int, seed: int) -> None:
    """Whatever the hour, in a zone that changes its clocks; looked at both ways in time."""
    (one,) = entries(at=f"{minute} {hour} * * *")
    start = utc(2026, 1, 1)
    times = list(islice(coming(one, start), 365))
    days = [time.astimezone(BERLIN).date() for time in times]
    assert days == [days[0] + timedelta(days=n) for n in range(365)]
    now = times[seed % 365] + timedelta(seconds=seed % 60)
    (newest,) = due([one], {"faces": start}, now)
    assert newest.at == times[seed % 365]
    assert len(newest.skipped) == seed % 365
    assert on_day(one, newest.day) == newest.at


def test_of_missed_nights_the_last_is_caught_up_and_the_others_are_named() -> None:
    (one,) = due(entries(), {"faces": utc(2026, 6, 1, 1)}, utc(2026, 6, 5, 9))
    assert one.day == date(2026, 6, 5)
    assert one.late
    assert not one.missed
    assert one.skipped == (date(2026, 6, 2), date(2026, 6, 3), date(2026, 6, 4))


def test_without_catching_up_a_late_night_is_only_named() -> None:
    found = entries(catch_up="none", late_s=3600)
    (late,) = due(found, {"faces": utc(2026, 6, 4, 1)}, utc(2026, 6, 5, 9))
    assert late.missed
    (in_time,) = due(found, {"faces": utc(2026, 6, 4, 1)}, utc(2026, 6, 5, 1, 29))
    assert (in_time.missed, in_time.late) == (False, False)


def test_an_entry_seen_for_the_first_time_catches_up_nothing_but_may_be_late() -> None:
    assert due(entries(), {}, utc(2026, 6, 5, 9)) == []
    (one,) = due(entries(), {}, utc(2026, 6, 5, 1, 20))
    assert one.key == "faces@2026-06-05"
    assert one.skipped == ()


def test_a_night_is_due_from_its_very_moment_and_not_after_it_was_seen_to() -> None:
    at = utc(2026, 6, 5, 0, 30)
    before = {"faces": utc(2026, 6, 4, 0, 30)}
    assert due(entries(), before, at - timedelta(microseconds=1)) == []
    assert [one.at for one in due(entries(), before, at)] == [at]
    assert due(entries(), {"faces": at}, at + timedelta(hours=1)) == []


def chain() -> tuple[Entry, ...]:
    audit = {"name": "audit", "after": "faces", "evaluate": {"table": "y"}}
    return entries({"name": "report", "after": "audit", "evaluate": {"table": "z"}}, audit)


def test_what_is_chained_is_due_behind_the_one_it_waits_for() -> None:
    found = due(chain(), {"faces": utc(2026, 6, 4, 1)}, utc(2026, 6, 5, 0, 31))
    assert [one.key for one in found] == ["faces@2026-06-05", "audit@2026-06-05", "report@2026-06-05"]


def test_a_chain_goes_on_where_a_scheduler_died_between_two_nights() -> None:
    at, now = utc(2026, 6, 5, 0, 30), utc(2026, 6, 5, 2)
    since = {"faces": at, "audit": utc(2026, 6, 4, 0, 30), "report": utc(2026, 6, 4, 0, 30)}
    found = due(chain(), since, now, {"faces": at})
    assert [one.key for one in found] == ["audit@2026-06-05", "report@2026-06-05"]
    assert due(chain(), {**since, "audit": at, "report": at}, now, {"faces": at, "audit": at}) == []


@pytest.mark.parametrize("zone", ["America/Santiago", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Apia"])
def test_odd_zones_have_one_night_a_date_too(zone: str) -> None:
    """Clocks that change at midnight, or by half an hour."""
    (one,) = entries(at="15 0 * * *", zone=zone)
    times = list(islice(coming(one, utc(2026, 1, 1)), 370))
    days = [time.astimezone(ZoneInfo(zone)).date() for time in times]
    assert len(set(days)) == len(days) == 370
