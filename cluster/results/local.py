"""Runs read straight from MLflow's SQLite file, read-only.

Importing MLflow's client costs about two seconds, this costs about thirty milliseconds. Only tables and columns that
MLflow has had since its first versions are used; if one is missing, the client is used instead. A test holds both
ways against each other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cluster.document import unflat
from cluster.results.query import Run, Term

_COLUMNS = {
    "experiments": {"experiment_id", "name"},
    "runs": {"run_uuid", "status", "start_time", "end_time", "lifecycle_stage", "artifact_uri", "experiment_id"},
    "params": {"key", "value", "run_uuid"},
    "tags": {"key", "value", "run_uuid"},
    "latest_metrics": {"key", "value", "is_nan", "run_uuid"},
}
_Row = tuple[str, str, int, int | None, str, int]
_PARTS = ("", ".low", ".high", ".n")


class LocalStore:
    """The runs of one experiment in a database file."""

    def __init__(self, connection: sqlite3.Connection, experiment: str) -> None:
        self._connection = connection
        self._experiment = experiment

    @classmethod
    def open(cls, database: Path, experiment: str) -> LocalStore | None:
        """The store, or None if the file is not as expected. A file that is not there yet has no runs."""
        if not database.exists():
            empty = sqlite3.connect(":memory:")
            for table, columns in _COLUMNS.items():
                empty.execute(f"CREATE TABLE {table} ({', '.join(sorted(columns))})")
            return cls(empty, experiment)
        try:
            connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=10)
            for table, columns in _COLUMNS.items():
                found = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                if not columns <= found:
                    return None
        except sqlite3.Error:
            return None
        return cls(connection, experiment)

    def runs(self, terms: Sequence[Term], metrics: Sequence[str] | None, page: int) -> Iterator[Run]:
        rows = self._rows(terms, page)
        yield from self._filled(rows, metrics)
        if len(rows) < page:
            return
        # Who wants more than a page mostly wants all, and each statement orders all runs anew: 50,000 rows are 10 MB.
        last = Term("attribute", "after", f"{rows[-1][2]} {rows[-1][0]}")
        rest = self._rows([*terms, last], -1)
        for start in range(0, len(rest), page):
            yield from self._filled(rest[start : start + page], metrics)

    def _rows(self, terms: Sequence[Term], count: int) -> list[_Row]:
        conditions = ["r.lifecycle_stage = 'active'", "e.name = ?"]
        values: list[str | int] = [self._experiment]
        for term in terms:
            condition, value = _condition(term)
            conditions.append(condition)
            values += value
        sql = (
            "SELECT r.run_uuid, r.status, r.start_time, r.end_time, r.artifact_uri, r.experiment_id FROM runs r "
            f"JOIN experiments e USING (experiment_id) WHERE {' AND '.join(conditions)} "
            "ORDER BY r.start_time DESC, r.run_uuid LIMIT ?"
        )
        return self._connection.execute(sql, [*values, count]).fetchall()

    def fields(self) -> list[str]:
        newest = "SELECT run_uuid FROM runs ORDER BY start_time DESC LIMIT 100"
        rows = self._connection.execute(f"SELECT DISTINCT key FROM params WHERE run_uuid IN ({newest})")
        return sorted(row[0] for row in rows)

    def _filled(self, rows: Sequence[_Row], names: Sequence[str] | None) -> list[Run]:
        ids = [row[0] for row in rows]
        params, tags = self._pairs("params", ids), self._pairs("tags", ids)
        numbers = self._metrics(ids, names)
        return [
            Run(
                id_, status, started, ended, uri,
                params.get(id_, {}), tags.get(id_, {}), unflat(numbers.get(id_, {})), str(experiment),
            )
            for id_, status, started, ended, uri, experiment in rows
        ]  # fmt: skip

    def _pairs(self, table: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
        marks = ",".join("?" * len(ids))
        found: dict[str, dict[str, str]] = {}
        sql = f"SELECT run_uuid, key, value FROM {table} WHERE run_uuid IN ({marks}) ORDER BY key"
        for id_, key, value in self._connection.execute(sql, ids):
            found.setdefault(id_, {})[key] = value
        return found

    def _metrics(self, ids: Sequence[str], names: Sequence[str] | None) -> Mapping[str, Mapping[str, float]]:
        found: dict[str, dict[str, float]] = {}
        if names is not None and not names:
            return found
        keys = [name + part for name in names or () for part in _PARTS]
        chosen = f"AND key IN ({','.join('?' * len(keys))})" if keys else ""
        marks = ",".join("?" * len(ids))
        sql = f"SELECT run_uuid, key, value FROM latest_metrics WHERE run_uuid IN ({marks}) {chosen} AND NOT is_nan"
        for id_, key, value in self._connection.execute(sql, [*ids, *keys]):
            found.setdefault(id_, {})[key] = value
        return found


def _condition(term: Term) -> tuple[str, list[str | int]]:
    if term.kind == "attribute":
        if term.key == "started":
            return "r.start_time >= ?", [int(term.value)]
        if term.key == "run_id":
            return "r.run_uuid >= ? AND r.run_uuid < ?", [term.value, term.value + "g"]
        if term.key == "after":
            moment, run_id = term.value.split()
            return "(r.start_time < ? OR r.start_time = ? AND r.run_uuid > ?)", [int(moment), int(moment), run_id]
        return "r.status = ?", [term.value]
    table = "params" if term.kind == "param" else "tags"
    inside = f"EXISTS (SELECT 1 FROM {table} x WHERE x.run_uuid = r.run_uuid AND x.key = ?"
    return f"{inside} AND x.value {'LIKE' if term.like else '='} ?)", [term.key, term.value]
