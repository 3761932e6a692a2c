"""The job of a night sent to the cluster, and waited for.

The submission is named after the job and its night, so two schedulers that send it send one job, and one that died
and was started again finds the job that it had sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from cluster.schedule.clock import Clock
from cluster.schedule.entries import Entry
from cluster.schedule.working import Done, Stopped
from cluster.settings import Settings
from jobs.spec import Job, JobFailed


def there(
    entry: Entry, job: Job, tags: Mapping[str, str], key: str, where: Settings, say: Callable[[str], None],
    until: tuple[datetime, str] | None, clock: Clock,
) -> list[Done]:  # fmt: skip
    """Run a job on the cluster under its night's name.

    Args:
        until: when it is stopped, and why then.

    Raises:
        Stopped: if that time came, or somebody stopped the job.
        JobFailed: if it could not be sent, or left no run.
    """
    from cluster.submission.attending import attend
    from cluster.submission.server import connect
    from cluster.submission.submit import Wishes, prepare

    wishes = Wishes(queue=entry.queue or "", priority=entry.priority or "")
    prepared = prepare(job, key=key, labels={"night": key}, tags=tags, wishes=wishes, where=where)
    server = connect(where.ray_address)
    sent, ended = attend(
        prepared, server, where, say, lambda sent: say(f"{key}: submitted as {sent.name}"),
        lambda: until is not None and clock.now() >= until[0],
    )  # fmt: skip
    name = sent.name
    if ended is None:
        server.stop(name)
        raise Stopped(until[1] if until is not None else "stopped")
    if ended.state == "stopped":
        raise Stopped(f"the submission {name} was stopped")
    found = [_done(run_id, where) for run_id in ended.run_ids]
    if not found:
        raise JobFailed(f"the submission {name} {ended.state}: {ended.reason}")
    return found


def _done(run_id: str, where: Settings) -> Done:
    """A run as MLflow has it."""
    from cluster.results.query import find_run

    run = find_run(run_id, where)
    return Done(run.job, run.fields.get("model", ""), run.run_id, run.fields, run.output, run.facts, run.fact("error"))
