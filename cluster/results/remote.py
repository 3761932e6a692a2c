"""Runs read through MLflow's client: from a server, or from any database it knows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from cluster.client import connect
from cluster.document import unflat
from cluster.masking import masked
from cluster.results.query import Run, Term
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed, SpecError

_PARTS = ("", ".low", ".high", ".n")
_COMPARED = {
    "started": ("start_time", ">="),
    "after": ("start_time", "<="),
    "run_id": ("run_id", "LIKE"),
    "status": ("status", "="),
}


class RemoteStore:
    """The runs of one experiment."""

    def __init__(self, where: Settings) -> None:
        quiet_mlflow()
        from mlflow.exceptions import MlflowException

        self._failure = MlflowException
        self._where = where
        self._client = self._asked(connect, where)
        found = self._asked(self._client.get_experiment_by_name, where.experiment)
        self._experiment = None if found is None else found.experiment_id

    def runs(self, terms: Sequence[Term], metrics: Sequence[str] | None, page: int) -> Iterator[Run]:
        if self._experiment is None:
            return
        token, condition = None, " AND ".join(map(_condition, terms))
        after = next((_place(term.value) for term in terms if term.key == "after"), None)
        while True:
            found = self._asked(
                self._client.search_runs,
                [self._experiment],
                filter_string=condition,
                max_results=page,
                order_by=["attributes.start_time DESC", "attributes.run_id ASC"],
                page_token=token,
            )
            yield from (_run(run, metrics) for run in found if after is None or _order(run) > after)
            token = found.token
            if not token:
                return

    def fields(self) -> list[str]:
        if self._experiment is None:
            return []
        found = self._asked(self._client.search_runs, [self._experiment], max_results=100)
        return sorted({name for run in found for name in run.data.params})

    def _asked(self, call: Any, *given: Any, **words: Any) -> Any:
        try:
            return call(*given, **words)
        except self._failure as error:
            where, reason = masked(self._where.tracking_uri), masked(str(error).splitlines()[0])
            raise JobFailed(f"MLflow at {where} did not answer: {reason}") from None


def _order(run: Any) -> tuple[int, str]:
    """Where a run stands: newest first, of one millisecond by id."""
    return -int(run.info.start_time), str(run.info.run_id)


def _place(text: str) -> tuple[int, str]:
    """The place of an `after`; MLflow's filters know `and` alone, so runs of that millisecond are told apart here."""
    moment, run_id = text.split()
    return -int(moment), run_id


def _run(run: Any, names: Sequence[str] | None) -> Run:
    values = {key: value for key, value in sorted(run.data.metrics.items()) if not math.isnan(value)}
    if names is not None:
        wanted = {name + part for name in names for part in _PARTS}
        values = {key: value for key, value in values.items() if key in wanted}
    return Run(
        run.info.run_id,
        run.info.status,
        run.info.start_time,
        run.info.end_time,
        run.info.artifact_uri,
        dict(sorted(run.data.params.items())),
        dict(sorted(run.data.tags.items())),
        unflat(values),
        str(run.info.experiment_id),
    )


def _condition(term: Term) -> str:
    if term.kind == "attribute":
        key, compare = _COMPARED[term.key]
        value = term.value.split()[0] if key == "start_time" else _quoted(term.value + ("%" if key == "run_id" else ""))
        return f"attributes.{key} {compare} {value}"
    where = "params" if term.kind == "param" else "tags"
    return f"{where}.`{term.key}` {'LIKE' if term.like else '='} {_quoted(term.value)}"


def _quoted(value: str) -> str:
    """A text for MLflow's filters, which know two kinds of quotes and no way to write one inside itself."""
    if "'" not in value:
        return f"'{value}'"
    if '"' not in value:
        return f'"{value}"'
    raise SpecError(f"where: MLflow cannot look for a value with both kinds of quotes: {value}")
