"""Ticks for ever: sleeps until the next night, survives what fails, and stops when told to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cluster.schedule.clock import Clock
from cluster.schedule.due import coming
from cluster.schedule.entries import Entry
from cluster.schedule.night import Night
from cluster.schedule.reading import read
from cluster.schedule.tick import tick
from cluster.sender import one_line
from cluster.settings import Settings

LOOK_EVERY_S = 30.0
"""The clock is looked at so often: a machine that slept finds it ahead, and the file may have changed."""


class Told(KeyboardInterrupt):
    """SIGTERM: an interruption like Ctrl-C, so that a job marks its runs, and the end of the loop."""


def loop(path: Path, where: Settings, clock: Clock, say: Callable[[str], None], show: Callable[[Night], None]) -> None:
    """Run what is due, whenever it is, until SIGTERM.

    Args:
        show: takes each night that came to an end.

    Raises:
        SpecError: if the file is wrong at the start; later that is said, and the file as it was goes on.
        KeyboardInterrupt: on Ctrl-C.
    """
    entries: Sequence[Entry] = read(path)
    changed = _changed(path)
    with _stops(say):
        say(f"{len(entries)} entries; the next night is due {_text(following(entries, clock.now()))}")
        while True:
            if (now := _changed(path)) != changed:
                entries, changed = _reread(path, entries, say), now
            for night in _survived(entries, where, clock, say):
                show(night)
            wanted = following(entries, clock.now())
            left_s = LOOK_EVERY_S if wanted is None else (wanted - clock.now()).total_seconds()
            clock.sleep(min(max(left_s, 0.05), LOOK_EVERY_S))


def following(entries: Sequence[Entry], now: datetime) -> datetime | None:
    """When the next night is due."""
    times = (next(coming(entry, now), None) for entry in entries if entry.at is not None)
    return min((time for time in times if time is not None), default=None)


def _survived(entries: Sequence[Entry], where: Settings, clock: Clock, say: Callable[[str], None]) -> list[Night]:
    try:
        return tick(entries, where, clock, say)
    except Exception as error:
        say(f"warning: this tick failed ({one_line(error)}); the next one is not far")
        return []


def _reread(path: Path, entries: Sequence[Entry], say: Callable[[str], None]) -> Sequence[Entry]:
    try:
        found = read(path)
    except ValueError as error:
        say(f"warning: {error}; going on with the entries from before")
        return entries
    say(f"{path} changed: {len(found)} entries")
    return found


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _text(moment: datetime | None) -> str:
    return "never" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


@contextmanager
def _stops(say: Callable[[str], None]) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise Told

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except Told:
        say("stopped; a night that was at work goes on from there when the loop is started again")
    finally:
        signal.signal(signal.SIGTERM, before)
