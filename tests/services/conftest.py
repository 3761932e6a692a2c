"""Real servers on loopback, each on ports that were free a moment ago, ended by their own process id."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.services.mlflow_server import Server
from tests.services.standing import standing  # noqa: F401

KEYS = {"AWS_ACCESS_KEY_ID": "admin", "AWS_SECRET_ACCESS_KEY": "admin-secret", "AWS_DEFAULT_REGION": "us-east-1"}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held at once, so they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@dataclass
class S3Server:
    """A SeaweedFS server with one bucket, `data`; `stop` and `start` keep what it holds."""

    folder: Path
    ports: list[int] = field(default_factory=lambda: free_ports(9))
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        names = (
            "s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
            "filer.port", "filer.port.grpc",
        )  # fmt: skip
        self.folder.mkdir(exist_ok=True)
        identity = {"name": "admin", "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        identity["credentials"] = [{"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}]
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
        command = [
            str(Path(sys.executable).parent / "weed"), "server", f"-dir={self.folder}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", "-master.telemetry=false", "-master.volumeSizeLimitMB=256",
            "-master.electionTimeout=1s", "-volume.max=50", "-filer", f"-filer.localSocket={self.folder}/filer.sock",
            "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={self.folder}/s3.json",
            *(f"-{name}={port}" for name, port in zip(names, self.ports, strict=False)),
        ]  # fmt: skip
        with open(self.folder / "log.txt", "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.endpoint, timeout=2)
            except urllib.error.HTTPError:
                return  # it answers, if only to say that it wants a key
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"no S3 server at {self.endpoint}: {(self.folder / 'log.txt').read_text()[-2000:]}")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def _s3_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server, with the environment that clients take their keys from."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    before = {name: os.environ.get(name) for name in [*KEYS, "AWS_ENDPOINT_URL"]}
    os.environ.update(KEYS, AWS_ENDPOINT_URL=server.endpoint)
    yield server
    server.stop()
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture(scope="module")
def s3_server(_s3_of_the_session: S3Server) -> S3Server:
    """The S3 server of the session, its bucket `data` empty when a module begins."""
    import s3fs

    client = s3fs.S3FileSystem(skip_instance_cache=True)
    if client.exists("data"):
        client.rm("data", recursive=True)
    client.mkdir("data")
    return _s3_of_the_session


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An MLflow server for the tests of one module."""
    server = Server(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.kill()
