"""Whether a server answers, asked quickly: what cannot be reached at the start stops a job within seconds."""

from __future__ import annotations

import base64
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cluster.masking import masked
from cluster.settings import Settings
from jobs.spec import JobFailed

_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_DOWN = (502, 503, 504)  # a gateway speaks for a server that does not


def check(settings: Settings, patience_s: float = 4.0) -> None:
    """Return once the tracking server answers; one that refuses may be starting, and is asked for `patience_s`.

    Raises:
        JobFailed: naming the address and the reason, after 25 seconds at most; also if it does not let us in.
    """
    deadline = time.monotonic() + patience_s
    while (reason := obstacle(settings, timeout_s=10.0)) is not None:
        if time.monotonic() + 1.0 >= deadline or settings.database is not None:
            raise JobFailed(f"MLflow cannot be reached at {masked(settings.tracking_uri)}: {reason}")
        time.sleep(1.0)
    if (reason := refusal(settings, timeout_s=10.0)) is not None:
        raise JobFailed(f"MLflow at {masked(settings.tracking_uri)} {reason}")


def refusal(settings: Settings, timeout_s: float) -> str | None:
    """Why a server that answers does not let us in, or None if it does, or if only its client can tell.

    Credentials are read here as MLflow's client reads them; where it may find others than those of the environment
    (a file of its own, a plug-in), it is left to ask by itself.
    """
    if not settings.tracking_uri.startswith(("http://", "https://")) or _elsewhere(os.environ):
        return None
    user, asked = os.environ.get("MLFLOW_TRACKING_USERNAME"), _asking(settings)
    try:
        with urllib.request.urlopen(asked, timeout=timeout_s):
            return None
    except urllib.error.HTTPError as error:
        if error.code != 401:  # that there is no such experiment yet, for one
            return None
    except (OSError, ValueError):
        return None
    if asked.get_header("Authorization") is None:
        return "asks for a user: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    who = "MLFLOW_TRACKING_TOKEN" if user is None else f"the user {user!r}: see MLFLOW_TRACKING_PASSWORD"
    return f"refuses {who}"


def _asking(settings: Settings) -> urllib.request.Request:
    """A question that only a known user may ask."""
    name = urllib.parse.quote(settings.experiment)
    parts = urlsplit(settings.tracking_uri)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    asked = urllib.request.Request(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or urllib.parse.unquote(parts.username or "")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD") or urllib.parse.unquote(parts.password or "")
    if user and password:
        asked.add_header("Authorization", f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        asked.add_header("Authorization", f"Bearer {token}")
    return asked


def _elsewhere(environment: Mapping[str, str]) -> bool:
    plugged = any(environment.get(f"MLFLOW_TRACKING_{name}") for name in ("AUTH", "AWS_SIGV4", "CLIENT_CERT_PATH"))
    return plugged or any((Path.home() / name).exists() for name in (".mlflow/credentials", ".netrc"))


def obstacle(settings: Settings, timeout_s: float) -> str | None:
    """Why the tracking server cannot be used now, or None if it answers."""
    if settings.database is not None:
        return _folder(settings.database)
    parts = urlsplit(settings.tracking_uri)
    if parts.scheme in ("http", "https"):
        return _http(settings.tracking_uri, timeout_s)
    port = _PORTS.get(parts.scheme.split("+")[0])
    return None if port is None or not parts.hostname else _port(parts.hostname, parts.port or port, timeout_s)


def _folder(database: Path) -> str | None:
    if not database.parent.is_dir():
        return "there is no such folder"
    target = database if database.exists() else database.parent
    return None if os.access(target, os.W_OK) else f"{target} cannot be written"


def _http(address: str, timeout_s: float) -> str | None:
    """Any answer counts, a refusal too: whether we may come in is for the client to find out."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=timeout_s):
            return None
    except urllib.error.HTTPError as error:
        return f"it answers {error.code} {error.reason}" if error.code in _DOWN else None
    except urllib.error.URLError as error:
        # A certificate that Python does not know may be known to the client (its own bundle).
        return None if "CERTIFICATE" in str(error.reason) else str(error.reason)
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


def _port(host: str, port: int, timeout_s: float) -> str | None:
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return None
    except OSError as error:
        return str(error)
