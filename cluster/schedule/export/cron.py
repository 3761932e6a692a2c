"""A crontab."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from cluster.schedule.entries import Entry


def crontab(entries: Sequence[Entry], path: Path) -> str:
    """Lines for `crontab`, in each entry's zone."""
    file = path.resolve()
    lines = [
        f"# Nights of {file.name}. A night that a sleeping machine missed is caught up by the next tick.",
        "# CRON_TZ is cronie's; Debian's cron knows only the machine's own zone: there, write the times in that one.",
    ]
    zone = None
    for entry in entries:
        if entry.zone != zone:
            zone = entry.zone
            lines.append(f"CRON_TZ={zone}")
        words = ["safelight", "schedule", "tick", "--file", str(file), "--entry", entry.name]
        # cron ends the command at a bare percent sign.
        command = f"cd {shlex.quote(str(file.parent))} && {shlex.join(words)}".replace("%", r"\%")
        lines.append(f"{entry.at} {command}")
    return "\n".join(lines) + "\n"
