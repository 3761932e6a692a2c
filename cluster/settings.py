"""Addresses, read from the environment here and nowhere else, under their standard names.

With none set, everything stays on this machine: Ray is started here (address `local`), and MLflow keeps runs in
`mlflow.db` of the current folder with artifacts beside it in `mlruns/`. Addresses are made absolute at once, since
Ray's workers stand in other folders. Credentials are not kept here: each client reads its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

_SQLITE = "sqlite:///"

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A server that went away is noticed in seconds; what it misses is kept on disk.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "300",
}
"""How MLflow's client behaves inside safelight; a variable that is set already wins."""


@dataclass(frozen=True)
class Settings:
    """Where the servers are.

    Attributes:
        tracking_uri: absolute, for example `sqlite:////home/me/mlflow.db` or `https://mlflow.example.org`.
        experiment: the MLflow experiment that holds the runs.
        home: the folder whose `.safelight/` keeps records that a server has not taken yet.
        ray_address: `local`, or the address of a cluster.
        s3_endpoint: another server than Amazon's, or None.
    """

    tracking_uri: str
    experiment: str
    home: Path
    ray_address: str = "local"
    s3_endpoint: str | None = None

    @property
    def database(self) -> Path | None:
        """The SQLite file that holds the runs, where they are held in one."""
        if not self.tracking_uri.startswith(_SQLITE):
            return None
        return Path(self.tracking_uri.removeprefix(_SQLITE).split("?")[0])

    @property
    def artifacts(self) -> str | None:
        """Where a new experiment keeps its files: beside the SQLite file, else as the server decides."""
        return None if self.database is None else (self.database.parent / "mlruns").as_uri()

    @property
    def state(self) -> Path:
        """The folder for records on their way and models fetched from the registry."""
        return self.home / ".safelight"


def from_environment(environment: Mapping[str, str], folder: Path) -> Settings:
    """Settings from variables, as seen from `folder`; an empty variable counts as none."""
    uri = environment.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}mlflow.db"
    if uri.startswith(_SQLITE):
        uri = f"{_SQLITE}{folder / uri.removeprefix(_SQLITE)}"
    settings = Settings(
        tracking_uri=uri.rstrip("/"),
        experiment=environment.get("MLFLOW_EXPERIMENT_NAME") or "safelight",
        home=folder,
        ray_address=environment.get("RAY_ADDRESS") or "local",
        s3_endpoint=environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None,
    )
    return settings if settings.database is None else replace(settings, home=settings.database.parent)


def settings() -> Settings:
    """The settings of this process, as of now: a command asks once and hands them on."""
    return from_environment(os.environ, Path.cwd())


def quiet_mlflow() -> None:
    """Set MLflow's client up before it is imported: no telemetry, no printing, no waiting for minutes."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
