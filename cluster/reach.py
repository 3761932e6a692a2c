"""Whether a server answers, asked quickly: what cannot be reached at the start stops a job within seconds."""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
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
        JobFailed: naming the address and the reason, after 15 seconds at most.
    """
    deadline = time.monotonic() + patience_s
    while (reason := obstacle(settings, timeout_s=10.0)) is not None:
        if time.monotonic() + 1.0 >= deadline or settings.database is not None:
            raise JobFailed(f"MLflow cannot be reached at {masked(settings.tracking_uri)}: {reason}")
        time.sleep(1.0)


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
