"""The time, as something that is handed on: a test or `--now` begins at another moment, and it runs on from there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Now, shifted so that it was `start` when this was made."""

    def __init__(self, start: datetime | None = None) -> None:
        self._shift = timedelta() if start is None else start.astimezone(UTC) - datetime.now(UTC)

    def now(self) -> datetime:
        """This moment, UTC."""
        return datetime.now(UTC) + self._shift

    def sleep(self, seconds: float) -> None:
        """Wait; a signal with a handler that raises ends it."""
        time.sleep(max(seconds, 0.0))
