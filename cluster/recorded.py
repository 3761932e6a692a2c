"""Tags and parameters of a run, rewritten without some ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from cluster.client import connect
from cluster.results.query import Run
from cluster.settings import Settings
from jobs.forgetting.ids import Ids


def rewrite_fields(run: Run, ids: Ids, where: Settings) -> Iterator[tuple[str, str]]:
    """Change what names an id: (key, what was done) for each.

    MLflow lets tags be changed and parameters not. Where the runs lie in a database file, both are changed there,
    and what stood there before is overwritten; on a server a parameter is only named.
    """
    found = [("tags", key, ids.scrubbed(value), value) for key, value in run.tags.items()]
    found += [("params", key, ids.scrubbed(value), value) for key, value in run.fields.items()]
    changed = [(table, key, new) for table, key, new, old in found if new != old]
    if not changed:
        return
    if where.database is not None:
        with closing(sqlite3.connect(where.database, timeout=30)) as connection, connection:
            # Without this the old text would stay in the file's free space.
            connection.execute("PRAGMA secure_delete = ON")
            for table, key, new in changed:
                sql = f"UPDATE {table} SET value = ? WHERE run_uuid = ? AND key = ?"
                connection.execute(sql, (new, run.run_id, key))
    for table, key, new in changed:
        if where.database is None and table == "tags":
            connect(where).set_tag(run.run_id, key, new)
        left = where.database is None and table == "params"
        yield key, "parameter that MLflow cannot change: delete this run" if left else table[:-1]
