"""What failed, was left behind or has grown old: listed first, deleted only when asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cluster.client import connect
from cluster.journal import Journal, now_ms, pending
from cluster.results import keeping
from cluster.results.query import Query, Run, search, since_ms
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed, SpecError


@dataclass(frozen=True)
class Leftovers:
    """Runs that did not finish or are old, and journals of jobs that no longer work.

    `kept` is how many more runs would have been among them, by why they stay (`keeping.REASONS`).
    """

    runs: tuple[Run, ...]
    journals: tuple[Journal, ...]
    kept: Mapping[str, int] = field(default_factory=dict)


def find(where: Settings, since_ms: int | None = None, before_ms: int | None = None) -> Leftovers:
    """The failed and killed runs, and the records that wait for a push; never a champion or a gate's evidence.

    Args:
        before_ms: finished runs that ended before this time are among them too.

    Raises:
        JobFailed: if MLflow cannot be reached.
    """
    query = Query(since_ms=since_ms)
    runs = [run for status in ("failed", "killed") for run in search(_of_status(query, status), where)]
    if before_ms is not None:
        old = search(_of_status(query, "finished"), where)
        runs += [run for run in old if (run.ended_ms or run.started_ms) < before_ms]
    going, kept = keeping.sorted_out(runs, where)
    journals = [journal for journal in pending(where.state) if not journal.is_running()]
    return Leftovers(tuple(going), tuple(journals), kept)


def kept_since(text: str) -> int:
    """The time of `--keep`: 30d, 12h or a date.

    Raises:
        SpecError: if it is neither, or lies ahead.
    """
    moment = since_ms(text, name="keep")
    if moment > now_ms():
        raise SpecError(f"keep: {text} lies ahead, so that nothing would be kept")
    return moment


def kept_lines(leftovers: Leftovers) -> Iterator[str]:
    """A line for each reason why runs stay."""
    for reason, count in leftovers.kept.items():
        yield f"kept {count} {'run' if count == 1 else 'runs'}: {keeping.REASONS[reason]}"


def delete(leftovers: Leftovers, where: Settings) -> None:
    """Delete them. MLflow keeps a deleted run's files until `mlflow gc`.

    Raises:
        JobFailed: if MLflow refuses or cannot be reached.
    """
    if leftovers.runs:
        quiet_mlflow()
        from mlflow.exceptions import MlflowException

        try:
            client = connect(where)
            for run in leftovers.runs:
                client.delete_run(run.run_id)
        except MlflowException as error:
            raise JobFailed(f"MLflow would not delete: {str(error).splitlines()[0]}") from None
    for journal in leftovers.journals:
        journal.remove()


def _of_status(query: Query, status: str) -> Query:
    return Query(query.job, (*query.where, ("status", status)), query.since_ms)
