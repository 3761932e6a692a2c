"""What a night adds to MLflow: a verdict on a run, or a run of its own where there was none to write on.

It goes through a journal like everything else, so that a server that is away costs a warning and a later push.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from cluster import provenance
from cluster.journal import Journal, now_ms
from cluster.masking import as_tag, masked
from cluster.schedule.runs import NIGHT
from cluster.settings import Settings

Say = Callable[[str], None]


def on_run(
    run_id: str,
    job: str,
    tags: Mapping[str, str],
    where: Settings,
    say: Say,
    *,
    table: pa.Table | None = None,
    status: str = "FINISHED",
) -> None:
    """Add tags, and a table as `tables/gates.parquet`, to a run that has ended with `status`."""
    journal = Journal.create(where.state, job, masked(where.tracking_uri))
    journal.set_run(run_id)
    if table is not None:
        import pyarrow.parquet as pq

        pq.write_table(table, journal.file("tables/gates.parquet"))
        journal.append({"kind": "artifact", "file": "tables/gates.parquet", "folder": "tables"})
    _send(journal, tags, status, where, say)


def instead_of_run(key: str, fact: str, text: str, where: Settings, say: Say) -> None:
    """A run of the job `night` that says why there is no other.

    Args:
        fact: `error` or `skipped`.
    """
    journal = Journal.create(where.state, "night", masked(where.tracking_uri))
    tags = {"mlflow.runName": f"night {key}", **provenance.facts(), NIGHT: key, f"safelight.{fact}": text}
    _send(journal, tags, "FAILED" if fact == "error" else "FINISHED", where, say)


def _send(journal: Journal, tags: Mapping[str, str], status: str, where: Settings, say: Say) -> None:
    from cluster.sender import Sender, one_line

    journal.append({"kind": "tags", "values": {name: as_tag(value) for name, value in tags.items()}})
    # An open end would be taken for a job that died; the run had ended before.
    journal.append({"kind": "end", "status": status, "time_ms": now_ms()})
    try:
        sender = Sender(journal, where)
        sender.send()
    except Exception as error:
        say(
            f"warning: MLflow went away ({one_line(error)}); the night's record is kept in {journal.folder}: "
            "send it with `safelight results push`"
        )
        return
    for refused in sender.refused:
        say(f"warning: MLflow refused {refused}")
    journal.remove()
