"""What a scheduler remembers beside mlflow.db: until when each entry was seen to, and how its last night went.

`nights/nights.json` is read and replaced whole under a lock that is held for milliseconds; `nights/<entry>.lock` is
held for as long as a night of that entry runs. Both locks go with the process that has them, so one that was killed
holds up nobody, and its night, which is still marked as running, is due again.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

_PATIENCE_S = 1.0
"""A lock that is only looked at is free again in no time; one that is held longer is a night's."""


@dataclass(frozen=True)
class Record:
    """One entry's past. `at` is when its last night was due, `status` running, done, failed, stopped or skipped."""

    since: datetime | None = None
    day: date | None = None
    at: datetime | None = None
    ended: datetime | None = None
    status: str = ""
    verdict: str | None = None
    note: str = ""
    runs: tuple[str, ...] = ()


class Ledger:
    """The records of all entries of one place."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "nights"
        self._file = self._folder / "nights.json"

    def records(self) -> dict[str, Record]:
        """What is known, by entry. A file that cannot be read says nothing: the runs in MLflow still do."""
        try:
            found = json.loads(self._file.read_text())
            return {name: _record(values) for name, values in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def record(self, name: str) -> Record:
        return self.records().get(name, Record())

    def change(self, name: str, **values: Any) -> None:
        """Write down something about an entry."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / "nights.lock", "w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            records = self.records()
            records[name] = replace(records.get(name, Record()), **values)
            text = json.dumps({name: asdict(one) for name, one in records.items()}, indent=1, default=_text)
            new = self._file.with_suffix(".new")
            new.write_text(text + "\n", encoding="utf-8")
            os.replace(new, self._file)

    @contextmanager
    def hold(self, name: str, *, wait: bool = False, sleep: Callable[[float], None] = time.sleep) -> Iterator[bool]:
        """Hold the right to run an entry's night; False if another process has it. `wait` until it is free."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with open(self._folder / f"{name}.lock", "a") as stream:
            patience = time.monotonic() + _PATIENCE_S
            while not (held := _locked(stream)) and (wait or time.monotonic() < patience):
                sleep(0.1)
            yield held

    def is_held(self, name: str) -> bool:
        """Whether a night of this entry runs now."""
        with self.hold(name) as free:
            return not free


def _locked(stream: Any) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _record(values: dict[str, Any]) -> Record:
    moments = {name: _moment(values.get(name)) for name in ("since", "at", "ended")}
    day = values.get("day")
    return Record(**{**values, **moments, "day": day and date.fromisoformat(day), "runs": tuple(values["runs"])})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(value: Any) -> str:
    return str(value.isoformat())
