"""A service and a timer for each entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cronsim import CronSim

from cluster.schedule.entries import Entry
from cluster.schedule.export import safe_name
from jobs.spec import SpecError

_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


def units(entries: Sequence[Entry], path: Path) -> str:
    """All units in one text, each under a line with its file name."""
    return "\n".join(_service(entry, path.resolve()) + "\n" + _timer(entry) for entry in entries)


def _service(entry: Entry, file: Path) -> str:
    words = " ".join(_quoted(word) for word in ("schedule", "tick", "--file", str(file), "--entry", entry.name))
    return f"""# safelight-{safe_name(entry.name)}.service
[Unit]
Description=safelight: the night of {entry.name}
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={str(file.parent).replace("%", "%%")}
# Addresses and keys, such as MLFLOW_TRACKING_URI; the file may be missing.
EnvironmentFile=-/etc/safelight/environment
ExecStart=/usr/bin/env safelight {words}
# A gate that failed (3) or is undecided (4) is a result, told by the entry's `notify`, and no failure of this service.
SuccessExitStatus=3 4
"""


def _timer(entry: Entry) -> str:
    times = "\n".join(f"OnCalendar={text}" for text in calendar(entry))
    return f"""# safelight-{safe_name(entry.name)}.timer
[Unit]
Description=safelight: when the night of {entry.name} begins

[Timer]
{times}
# A machine that slept catches up.
Persistent={"true" if entry.catch_up == "last" else "false"}

[Install]
WantedBy=timers.target
"""


def calendar(entry: Entry) -> list[str]:
    """The entry's time in systemd's words. Days of month and of week, both given, mean either: that takes two lines.

    Raises:
        SpecError: if systemd has no words for it.
    """
    at = entry.at or ""
    cron = CronSim(at, datetime(2026, 1, 1, tzinfo=UTC))
    given: list[Any] = [*cron.days, *cron.weekdays]
    if "#" in at or "L" in at.split()[2].upper() or at.split()[4].upper().endswith("L") or not _plain(given):
        raise SpecError(f"entry {entry.name}: systemd has no words for `{at}`")
    clock = f"{_two(cron.hours)}:{_two(cron.minutes)}:00 {entry.zone}"
    months = "*" if len(cron.months) == 12 else _two(cron.months)
    some_days, some_weekdays = len(cron.days) < 31, at.split()[4] not in ("*", "?")
    lines = []
    if some_days or not some_weekdays:
        lines.append(f"*-{months}-{_two(cron.days) if some_days else '*'} {clock}")
    if some_weekdays:
        lines.append(f"{','.join(sorted({_DAYS[day % 7] for day in given[len(cron.days) :]}))} *-{months}-* {clock}")
    return lines


def _plain(values: list[Any]) -> bool:
    return all(isinstance(value, int) and 0 <= value <= 31 for value in values)


def _two(values: Any) -> str:
    return ",".join(f"{value:02d}" for value in sorted(values))


def _quoted(word: str) -> str:
    """A word of a command line, whose percent signs and dollars systemd would expand."""
    text = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$").replace('"', '\\"')
    return f'"{text}"' if any(c.isspace() or c in "\"'\\" for c in text) else text
