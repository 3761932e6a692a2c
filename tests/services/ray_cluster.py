"""A real Ray cluster on loopback: a head with a job server and a token, and nodes that can be killed.

Every node is a `ray start --block` of our own, on ports of its own, so that all its daemons are our grandchildren and
are ended by their ids. `environment` is what a client of the job server needs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.services.conftest import free_ports

PORTS = ("node-manager-port", "object-manager-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
PORTS += ("runtime-env-agent-port", "metrics-export-port")
READY_S = 180.0


@dataclass
class Node:
    """One raylet with what belongs to it."""

    process: subprocess.Popen[bytes]
    log: Path

    def family(self) -> list[psutil.Process]:
        """The node's processes, its raylet's workers among them."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def raylets(self) -> list[int]:
        return [one.pid for one in self.family() if one.name() == "raylet"]

    def kill(self) -> None:
        """kill -9 the raylet and its workers and all that was started with them."""
        family = self.family()
        # The raylet goes first: whoever sees a worker die before it would tell the head.
        for one in sorted(family, key=lambda process: _name(process) != "raylet"):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(family, timeout=10)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


@dataclass
class RayCluster:
    """A head, started at once, and the nodes that join it."""

    cpus: int = 2
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="rc", dir="/tmp")))
    surrounds: Mapping[str, str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gcs_port, self.dashboard_port = free_ports(2)
        self.token = secrets.token_hex(32)
        self.head = self._start(
            "--head", f"--port={self.gcs_port}", f"--dashboard-port={self.dashboard_port}",
            "--dashboard-host=127.0.0.1", f"--ray-client-server-port={free_ports(1)[0]}",
            f"--temp-dir={self.folder}", "--include-log-monitor=false", cpus=self.cpus,
        )  # fmt: skip
        try:
            self._until_jobs_are_taken()
        except BaseException:
            self.stop()
            raise

    @property
    def address(self) -> str:
        """Of the job server."""
        return f"http://127.0.0.1:{self.dashboard_port}"

    @property
    def gcs_address(self) -> str:
        return f"127.0.0.1:{self.gcs_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client sets to send jobs here."""
        return {"RAY_ADDRESS": self.address, **self._with_token()}

    @property
    def driver_environment(self) -> dict[str, str]:
        """What a client sets to be a driver itself, in place of `environment`."""
        return {"RAY_ADDRESS": self.gcs_address, **self._with_token()}

    def jobs(self) -> object:
        """All that anyone with the token is told of the jobs."""
        return self._ask("/api/jobs/")

    def add_node(self, cpus: int = 1) -> Node:
        """Another raylet; returns when the head counts its CPUs."""
        before = len(self._alive())
        # A folder of its own, as on another machine: in a common one each raylet unpacks a job's files anew over the
        # other's.
        place = tempfile.mkdtemp(prefix="n", dir=self.folder)
        node = self._start(f"--address={self.gcs_address}", f"--temp-dir={place}", cpus=cpus)
        self.nodes.append(node)
        self._until(lambda: len(self._alive()) > before, node)
        return node

    def kill_node(self, node: Node) -> None:
        node.kill()
        self.nodes.remove(node)

    def kill_head(self) -> None:
        self.head.kill()

    def stop(self) -> None:
        """End every process that was started here, and only those."""
        for node in [*self.nodes, self.head]:
            node.kill()
        self.nodes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _with_token(self) -> dict[str, str]:
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}

    def _start(self, *words: str, cpus: int) -> Node:
        number = len(self.nodes) + (1 if hasattr(self, "head") else 0)
        ports = [f"--{name}={port}" for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)]
        first = 21000 + 200 * (number % 20)
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words, *ports,
            "--node-ip-address=127.0.0.1", f"--num-cpus={cpus}", f"--min-worker-port={first}",
            f"--max-worker-port={first + 199}", "--object-store-memory=104857600", "--disable-usage-stats",
        ]  # fmt: skip
        inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        # Jobs are begun with `python`: it must be this one.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        patience = {"RAY_raylet_start_wait_time_s": str(int(READY_S)), "RAY_gcs_server_request_timeout_seconds": "120"}
        surrounds = {**inherited, "PATH": path, **patience, **self.surrounds, **self._with_token()}
        log = self.folder / f"node-{number}-{secrets.token_hex(3)}.txt"
        with open(log, "wb") as stream:
            process = subprocess.Popen(command, env=surrounds, cwd=self.folder, stdout=stream, stderr=stream)
        return Node(process, log)

    def _until(self, ready: object, node: Node) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if node.process.poll() is not None:
                break
            with contextlib.suppress(Exception):
                if callable(ready) and ready():
                    return
            time.sleep(0.5)
        raise TimeoutError(f"the Ray node did not come up: {node.log.read_text()[-2000:]}")

    def _alive(self) -> list[object]:
        return [node for node in self._ask("/nodes?view=summary")["data"]["summary"] if _is_alive(node)]

    def _ask(self, path: str) -> Any:
        import requests

        answer = requests.get(self.address + path, headers={"Authorization": f"Bearer {self.token}"}, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def _until_jobs_are_taken(self) -> None:
        """The server answers before it can take a job: a trial one must be let in and end well."""
        self._until(lambda: self._alive() and self._trial(), self.head)

    def _trial(self) -> bool:
        import requests

        url, words = f"{self.address}/api/jobs/", {"headers": {"Authorization": f"Bearer {self.token}"}, "timeout": 60}
        sent = requests.post(url, json={"entrypoint": "true"}, **words)  # type: ignore[arg-type]
        sent.raise_for_status()
        state = "PENDING"
        while state in ("PENDING", "RUNNING"):
            time.sleep(0.2)
            state = requests.get(url + sent.json()["submission_id"], **words).json()["status"]  # type: ignore[arg-type]
        return state == "SUCCEEDED"


def _is_alive(node: Mapping[str, Mapping[str, object]]) -> bool:
    return node["raylet"].get("state") == "ALIVE"


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster of a head with two CPUs, for the tests of one module."""
    cluster = RayCluster()
    yield cluster
    cluster.stop()
