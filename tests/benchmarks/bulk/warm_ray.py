"""A Ray that runs already: a head of our own on free ports with a token, ended by its own process ids."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.services.conftest import free_ports


@dataclass(frozen=True)
class Head:
    """How to reach it, and its daemons."""

    environment: Mapping[str, str]
    pids: tuple[int, ...]


@contextlib.contextmanager
def head(folder: Path, environment: Mapping[str, str]) -> Iterator[Head]:
    """A Ray head with a CPU for each core. Its daemons become our children: see `meter.inherit_orphans`."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(4)
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", f"--port={ports[0]}",
        "--node-ip-address=127.0.0.1", f"--num-cpus={os.cpu_count()}", "--include-dashboard=false",
        f"--ray-client-server-port={ports[1]}", f"--node-manager-port={ports[2]}",
        f"--object-manager-port={ports[3]}", "--min-worker-port=21000", "--max-worker-port=21400",
        "--object-store-memory=104857600", "--disable-usage-stats",
    ]  # fmt: skip
    surrounds = {**environment, **token}
    with open(folder / "head.txt", "wb") as log:
        subprocess.run(command, env=surrounds, cwd=folder, stdout=log, stderr=log, check=True)
    daemons = tuple(p.pid for p in psutil.Process().children(recursive=True) if p.pid not in before)
    try:
        yield Head({**token, "RAY_ADDRESS": f"127.0.0.1:{ports[0]}"}, daemons)
    finally:
        for pid in daemons:
            with contextlib.suppress(psutil.Error):
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                for process in family:
                    process.kill()
                psutil.wait_procs(family, timeout=10)
