"""Many runs at once: recorded ones, multiplied in the database of MLflow, SQLite or PostgreSQL.

Recording 50,000 runs takes half an hour, and searching them does not depend on how they came there.
"""

from __future__ import annotations

from typing import Any

_TABLES = ("runs", "params", "tags", "latest_metrics", "metrics")
_OLDER_MS = 60_000


def multiply(uri: str, runs: int) -> None:
    """Copies of the runs in a database until there are `runs`, each a minute older than the one before.

    Args:
        uri: as SQLAlchemy has it, for example `sqlite:////tmp/mlflow.db`.
    """
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri)
    with engine.begin() as base:
        ids = [row[0] for row in base.execute(sqlalchemy.text("SELECT run_uuid FROM runs ORDER BY start_time"))]
        base.execute(sqlalchemy.text("CREATE TEMPORARY TABLE copies (old TEXT, new TEXT, older BIGINT)"))
        rows = [
            {"old": ids[number % len(ids)], "new": f"{number:032x}", "older": (number + 1) * _OLDER_MS}
            for number in range(runs - len(ids))
        ]
        base.execute(sqlalchemy.text("INSERT INTO copies VALUES (:old, :new, :older)"), rows)
        for table in _TABLES:
            base.execute(sqlalchemy.text(_copying(table, _columns(base, table))))
        base.execute(sqlalchemy.text("DROP TABLE copies"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as base:
        base.execute(sqlalchemy.text("ANALYZE"))
    engine.dispose()


def _columns(base: Any, table: str) -> list[str]:
    import sqlalchemy

    return [column["name"] for column in sqlalchemy.inspect(base).get_columns(table)]


def _copying(table: str, columns: list[str]) -> str:
    taken = {"run_uuid": "c.new", "start_time": "t.start_time - c.older", "end_time": "t.end_time - c.older"}
    values = ", ".join(taken.get(name, f't."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} t JOIN copies c ON t.run_uuid = c.old"
