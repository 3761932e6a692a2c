"""MLflow's server on loopback: runs in PostgreSQL or a SQLite file, their files on S3 or in a folder.

Clients reach files through it (`mlflow-artifacts:`) and need no key of the S3 server.
"""

from __future__ import annotations

import sys
import urllib.request

from cluster.stack import postgres, s3
from cluster.stack.place import LOOPBACK, Place
from cluster.stack.process import Process

NAME = "mlflow"


def variables(place: Place) -> dict[str, str]:
    """What a client must know."""
    return {"MLFLOW_TRACKING_URI": f"http://{LOOPBACK}:{place.ports['mlflow']}"}


def start(place: Place, *, on_postgres: bool, on_s3: bool) -> None:
    """Start it and wait until it answers; a new database takes it a while.

    Raises:
        JobFailed: if it does not.
    """
    process = Process(NAME, place.folder)
    words = ["--host", LOOPBACK, "--port", str(place.ports["mlflow"]), "--workers", "2"]
    environment = _environment(place, on_postgres, on_s3)
    process.start([sys.executable, "-m", "mlflow", "server", *words], environment)
    process.wait(lambda: _answers(place), 180)


def stop(place: Place) -> bool:
    """End it; whether it ran."""
    return Process(NAME, place.folder).stop()


def _environment(place: Place, on_postgres: bool, on_s3: bool) -> dict[str, str]:
    """Addresses with passwords go by the environment, since anyone may read the words of a command."""
    told = {
        "MLFLOW_BACKEND_STORE_URI": postgres.uri(place) if on_postgres else f"sqlite:///{place.folder}/mlflow.db",
        "MLFLOW_ARTIFACTS_DESTINATION": f"s3://{s3.ARTIFACTS}/files" if on_s3 else str(place.folder / "artifacts"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_TRACKING_URI": "",
    }
    if on_s3:
        told |= {**s3.variables(place), "MLFLOW_S3_ENDPOINT_URL": s3.variables(place)["AWS_ENDPOINT_URL"]}
    return told


def _answers(place: Place) -> bool:
    try:
        with urllib.request.urlopen(f"{variables(place)['MLFLOW_TRACKING_URI']}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
