"""SQL over results: DuckDB with the views runs, metrics and predictions, and nothing else within reach.

A view is made only when the query names it: `predictions` reads the answers of the runs that the query names by id,
or that are given beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from cluster.results.query import Query, Run, find_run, search
from cluster.results.tables import metrics_of, predictions_table, runs_of
from jobs.spec import SpecError

_ANSWERING = 20  # runs that `predictions` reads when none is named


def select(statement: str, given: Sequence[str] = (), query: Query | None = None) -> pa.Table:
    """The rows of a SELECT.

    Args:
        statement: one SELECT over runs, metrics(run_id, name, value, low, high, n) and predictions(run_id, id, truth,
            label, score, groups...).
        given: runs whose predictions are read: ids, beginnings of ids, `latest`.
        query: which runs the views hold; all without.

    Raises:
        SpecError: if it is no SELECT, or DuckDB refuses it.
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={"python_enable_replacements": "false"})
    try:
        _check(connection, statement)
        for name, table in _views(statement, given, query or Query()).items():
            connection.register(name, table)
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        return connection.sql(statement).to_arrow_table()
    except duckdb.Error as error:
        raise SpecError(f"sql: {' '.join(str(error).split())}") from None
    finally:
        connection.close()


def _check(connection: Any, statement: str) -> None:
    kinds = [parsed.type.name for parsed in connection.extract_statements(statement)]
    if kinds != ["SELECT"]:
        raise SpecError(f"sql: expected one SELECT, got {', '.join(kinds) or 'nothing'}")


def _views(statement: str, given: Sequence[str], query: Query) -> dict[str, pa.Table]:
    """The tables that the query names."""
    named = {name for name in ("runs", "metrics", "predictions") if re.search(rf"\b{name}\b", statement, re.IGNORECASE)}
    views: dict[str, pa.Table] = {}
    if "runs" in named or "metrics" in named:
        found = search(replace(query, metrics=None if "metrics" in named else ()))
        views |= {"runs": runs_of(found), "metrics": metrics_of(found)}
    if "predictions" in named:
        words = tuple(re.findall(r"\w+", statement))
        tables = [predictions_table(run, words) for run in _answering(statement, given, query)]
        views["predictions"] = pa.concat_tables(tables, promote_options="permissive")
    return {name: view for name, view in views.items() if name in named}


def _answering(statement: str, given: Sequence[str], query: Query) -> list[Run]:
    """The runs whose answers are wanted: those given, those the query names, or all if they are few.

    Raises:
        SpecError: if there are none or too many.
    """
    ids = dict.fromkeys([*given, *re.findall(r"'([0-9a-f]{32})'", statement)])
    if ids:
        return list({run.run_id: run for run in map(find_run, ids)}.values())
    finished = replace(query, where=(*query.where, ("status", "FINISHED")), metrics=())
    found = [
        run for run in search(finished) if run.output is not None and run.job in ("predict", "evaluate", "ensemble")
    ]
    if not found or len(found) > _ANSWERING:
        raise SpecError(f"sql: {len(found)} runs have predictions: choose with --run ID or WHERE run_id = '...'")
    return found
