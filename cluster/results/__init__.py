"""Results as tables: what was run, what it measured and what it answered, as Arrow.

>>> from cluster.results import runs
>>> runs("evaluate", where={"corpus": "data/cifar10"}, since="14d").column_names[:4]  # doctest: +SKIP
['run_id', 'job', 'status', 'started']
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def runs(
    job: str | None = None,
    where: Mapping[str, str] | None = None,
    since: str | None = None,
    limit: int | None = None,
) -> pa.Table:
    """Runs, newest first: run_id, job, status, started, ended, output, error, user, commit, and a column for each
    field (text, null where a run has no such field).

    Args:
        where: fields or facts and their values, as `--where` takes them.
        since: `14d`, `12h` or a date.
        limit: at most so many; all without.

    Raises:
        SpecError: if no run has such a field, or `since` is no time.
    """
    from cluster.results.query import Query
    from cluster.results.tables import runs_table

    return runs_table(Query.of(job, tuple((where or {}).items()), since, limit=limit))


def predictions(run: str, columns: tuple[str, ...] = ()) -> pa.Table:
    """What a run answered, a row a record: run_id, id, truth, label, score, the corpus's own columns, and `answered`.

    Args:
        run: a run's id, the beginning of one, or `latest`.
        columns: list columns to load too, such as top_labels.

    Raises:
        SpecError: if there is no such run.
        JobFailed: if it answered nothing, or its answers are gone.
    """
    from cluster.results.query import find_run
    from cluster.results.tables import predictions_table

    return predictions_table(find_run(run), columns)
