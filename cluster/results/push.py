"""Records that MLflow did not get, sent now."""

from __future__ import annotations

import time
from collections.abc import Callable

from cluster import reach
from cluster.journal import Journal, pending
from cluster.masking import masked
from cluster.sender import Sender, one_line
from cluster.settings import Settings
from jobs.spec import JobFailed


def push(where: Settings, say: Callable[[str], None]) -> int:
    """Send what waits in `where.state`; returns how many runs were completed.

    Raises:
        JobFailed: if MLflow cannot be reached, or goes away again; what was not sent stays.
    """
    journals = [journal for journal in pending(where.state) if _ready(journal, where, say)]
    if journals:
        reach.check(where)
    for journal in journals:
        sender = Sender(journal, where)
        try:
            sender.send()
        except Exception as error:
            raise JobFailed(f"MLflow would not take {journal.folder}: {one_line(error)}") from None
        for refused in sender.refused:
            say(f"warning: MLflow refused {refused}")
        say(f"sent {journal.head['job']} {journal.run_id}")
        journal.remove()
    return len(journals)


def _ready(journal: Journal, where: Settings, say: Callable[[str], None]) -> bool:
    """Whether a journal can be sent. One whose job died gets its end here."""
    head = journal.head
    if head["tracking_uri"] != masked(where.tracking_uri):
        say(f"left {journal.folder}: it is for {head['tracking_uri']}, and MLflow is at {masked(where.tracking_uri)}")
        return False
    events = [event for event, _ in journal.unsent()]
    ended = any(event["kind"] == "end" for event in events)
    if journal.is_running():
        if not ended:
            say(f"left {journal.folder}: its job still runs")
            return False
        return True
    if not ended:
        journal.append({"kind": "end", "status": "KILLED", "time_ms": int(_last_s(journal) * 1000)})
    return True


def _last_s(journal: Journal) -> float:
    """When the job last wrote something."""
    path = journal.folder / "events.jsonl"
    return path.stat().st_mtime if path.exists() else time.time()
