"""Submitted jobs as facts: what each is, how far, whose, and the runs it made."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cluster.submission import following, naming

_LABEL = "safelight.label."
_PROGRESS = re.compile(r"[\d,]+/[\d,]+ [a-z]+, .*")


@dataclass(frozen=True)
class Entry:
    """One submission.

    Attributes:
        state: pending, running, succeeded, failed or stopped.
        progress: the last line that says how far; of a job that is over, its last words.
        age_s: since it was submitted; took_s: how long it ran, once it is over.
        runs: MLflow runs, as far as they are known.
        attempt: of the submission, from 1; drivers: how often its driver was begun.
    """

    id: str
    job: str
    title: str
    state: str
    code: int | None
    progress: str
    age_s: int
    took_s: int | None
    owner: str
    key: str
    labels: Mapping[str, str]
    queue: str
    priority: str
    runs: tuple[str, ...]
    attempt: int
    drivers: int

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "labels": dict(self.labels), "runs": list(self.runs)}


def entry(details: Any, log: str) -> Entry:
    """What is known of a submission, from what the server says of it and the log that its driver left."""
    facts = details.metadata or {}
    over = details.status.is_terminal()
    end = following.ended(details, log) if over else None
    return Entry(
        id=details.submission_id,
        job=facts.get("safelight.job", ""),
        title=facts.get("safelight.title", ""),
        state=str(details.status.value).lower(),
        code=None if end is None else end.code,
        progress=_progress(log, end),
        age_s=round(time.time() - (details.start_time or 0) / 1000),
        took_s=round((details.end_time - details.start_time) / 1000) if over and details.end_time else None,
        owner=facts.get("safelight.owner", ""),
        key=facts.get("safelight.key", ""),
        labels={name.removeprefix(_LABEL): value for name, value in facts.items() if name.startswith(_LABEL)},
        queue=facts.get("safelight.queue", ""),
        priority=facts.get("safelight.priority", ""),
        runs=_runs(log, end),
        attempt=naming.split(details.submission_id)[1],
        drivers=sum(event["event"] == "begin" for event in following.events(log)),
    )


def _progress(log: str, end: following.Ended | None) -> str:
    if end is not None and end.code:
        return end.reason
    said = [line.strip() for line in following.words(log) if line.strip()]
    far = [line for line in said if _PROGRESS.match(line)]
    return (far or said or [""])[-1]


def _runs(log: str, end: following.Ended | None) -> tuple[str, ...]:
    """Of a job that is done, the runs of its answer; before that, those its driver said it opened."""
    if end is not None and end.run_ids:
        return tuple(end.run_ids)
    said = [match[1] for line in following.words(log) if (match := re.fullmatch(r"run ([0-9a-f]{32})", line.strip()))]
    return tuple(dict.fromkeys(said))


def duration(seconds: int) -> str:
    """Seconds as people say them.

    >>> duration(42), duration(600), duration(7200), duration(400000)
    ('42 s', '10 min', '2 h', '4 d')
    """
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
