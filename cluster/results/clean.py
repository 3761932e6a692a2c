"""What failed or was left behind: listed first, deleted only when asked."""

from __future__ import annotations

from dataclasses import dataclass

from cluster.client import connect
from cluster.journal import Journal, pending
from cluster.results.query import Query, Run, search
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed


@dataclass(frozen=True)
class Leftovers:
    """Runs that did not finish, and journals of jobs that no longer work."""

    runs: tuple[Run, ...]
    journals: tuple[Journal, ...]


def find(where: Settings, since_ms: int | None = None) -> Leftovers:
    """The failed and killed runs, and the records that wait for a push."""
    query = Query(since_ms=since_ms)
    runs = [run for status in ("failed", "killed") for run in search(_of_status(query, status), where)]
    journals = [journal for journal in pending(where.state) if not journal.is_running()]
    return Leftovers(tuple(runs), tuple(journals))


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
