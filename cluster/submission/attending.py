"""A job sent and followed to its end, whatever becomes of the machine its driver is on."""

from __future__ import annotations

from collections.abc import Callable

from cluster.settings import Settings
from cluster.submission.following import Ended, Say, follow
from cluster.submission.server import Server
from cluster.submission.submit import Sent, Submission, send
from jobs.spec import JobFailed


def attend(
    prepared: Submission, server: Server, where: Settings, say: Say, told: Callable[[Sent], None],
    until: Callable[[], bool] = lambda: False,
) -> tuple[Sent, Ended | None]:  # fmt: skip
    """Send a job and follow it; where its driver's machine dies, send it again, as often as its wishes allow.

    Args:
        told: hears of each sending.

    Returns:
        The last sending and what became of it; None if `until` said so before.

    Raises:
        JobFailed: if it cannot be sent or followed, or the machine died each time.
    """
    for _ in range(prepared.wishes.retries + 1):
        sent = send(prepared, server, where, say)
        told(sent)
        end = follow(server, sent.name, say, until)
        if end is None or not end.lost:
            return sent, end
        say("the machine with the driver is gone; the job is submitted again, and goes on from what is committed")
    raise JobFailed(f"the machine with the driver died {prepared.wishes.retries + 1} times")
