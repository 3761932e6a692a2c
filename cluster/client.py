"""MLflow's client, imported only when it is needed and set up so that it is quiet and gives up in seconds.

A new SQLite file gets its tables on first use, and two processes that do so at once both fail; so one waits for the
other. A process killed meanwhile would leave a file with some of them, which MLflow refuses for ever after; so the file
gets its name when it is whole. Servers see to both themselves.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.settings import Settings, quiet_mlflow


def library() -> Any:
    """The class MlflowClient, imported with the package round it."""
    quiet_mlflow()
    from mlflow.tracking.client import MlflowClient

    return MlflowClient


def connect(where: Settings) -> Any:
    """An MlflowClient for runs and models.

    Raises:
        MlflowException: if the store cannot be opened.
    """
    MlflowClient = library()  # noqa: N806

    with _turn(where):
        if where.database is not None and not _has_content(where.database):
            making = where.database.with_name(f"{where.database.name}.making")
            making.unlink(missing_ok=True)
            MlflowClient(f"sqlite:///{making}", registry_uri=f"sqlite:///{making}")
            making.replace(where.database)
        return MlflowClient(where.tracking_uri, registry_uri=where.tracking_uri)


@contextmanager
def _turn(where: Settings) -> Iterator[None]:
    """Wait until no other process of safelight opens the same file."""
    if where.database is None:
        yield
        return
    where.state.mkdir(parents=True, exist_ok=True)
    with open(where.state / "database.lock", "w") as stream:
        # The lock goes with the file's closing, so one that was killed holds up nobody.
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _has_content(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0
