"""A submitted job followed to its end: its log as it grows, its answer, and its exit code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.submission.server import Server
from cluster.submission.there import MARK
from jobs.spec import JobFailed

Say = Callable[[str], None]

LOOK_S = 1.0
AWAY_S = 30.0
"""How long the server may be away."""

LOST = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE")
"""The machine with the driver is gone: nobody there can begin it again."""


@dataclass(frozen=True)
class Ended:
    """What came of a job.

    Attributes:
        code: 0 to 4 as the job gave it, 130 if it was stopped.
        state: `succeeded`, `failed` or `stopped`.
        document: what `safelight run --format json` printed, or None.
        reason: its last words, if it failed.
        lost: whether its driver's machine died, so that the same submission is worth another attempt.
    """

    code: int
    state: str
    document: Mapping[str, Any] | None
    reason: str
    lost: bool

    @property
    def run_ids(self) -> list[str]:
        """The MLflow runs of the answer, one for each part."""
        found = [] if self.document is None else self.document.get("runs", [self.document])
        return [one["run_id"] for one in found if one.get("run_id")]


def words(log: str) -> list[str]:
    """The lines of a log that are for people."""
    return [line for line in log.splitlines() if not line.startswith(MARK)]


def events(log: str) -> list[dict[str, Any]]:
    """The lines for machines; one that is cut off is none."""
    found = []
    for line in log.splitlines():
        if line.startswith(MARK):
            try:
                found.append(json.loads(line.removeprefix(MARK)))
            except json.JSONDecodeError:
                continue
    return found


def ended(details: Any, log: str) -> Ended:
    """What came of a job that is over."""
    state = str(details.status.value).lower()
    answers = [event["document"] for event in events(log) if event["event"] == "answer"]
    lost = state == "failed" and str(getattr(details.error_type, "value", details.error_type)) in LOST
    said = [line.strip() for line in words(log) if line.strip()]
    message = " ".join((details.message or "").split())
    # Of a job that failed by itself, Ray only knows that; of one that never began it alone knows why.
    reason = said[-1] if details.driver_exit_code is not None and said else message[:500]
    return Ended(_code(state, details.driver_exit_code), state, answers[-1] if answers else None, reason, lost)


def _code(state: str, driver: int | None) -> int:
    if state == "succeeded":
        return 0
    if state == "stopped":
        return 130
    return driver if driver in (1, 2, 3, 4, 130) else 1


def follow(server: Server, name: str, say: Say, until: Callable[[], bool] = lambda: False) -> Ended | None:
    """Hand on a job's lines as they come, and return what became of it; None if `until` said so before.

    Raises:
        JobFailed: if there is no such job, or the server stays away for `AWAY_S`.
    """
    seen, heard = 0, time.monotonic()
    while not until():
        try:
            details = server.find(name)
        except JobFailed as error:
            if time.monotonic() - heard > AWAY_S:
                raise JobFailed(f"{error}; the job may go on: `safelight jobs logs {name} --follow`") from None
            time.sleep(LOOK_S)
            continue
        if details is None:
            raise JobFailed(f"{server.url} does not know the job {name} (any more: was the cluster begun anew?)")
        heard, over = time.monotonic(), details.status.is_terminal()
        log = server.log(name)
        whole = log if over else log[: log.rfind("\n") + 1]
        for line in words(whole[seen:]):
            say(line)
        seen = max(seen, len(whole))
        if over:
            return ended(details, log)
        # A log is only to be had whole: a long one is asked for less often.
        time.sleep(LOOK_S + len(log) / 1e6)
    return None
