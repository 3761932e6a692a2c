"""What a stack keeps in its folder: which ports it has, which keys, and what a shell must know of it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
KEYS = ("ray_token", "s3_key", "s3_secret", "database_password")
PORTS = (
    "ray", "ray_client", "dashboard", "dashboard_agent", "mlflow", "postgres", "s3", "s3_grpc", "s3_master",
    "s3_master_grpc", "s3_volume", "s3_volume_grpc", "s3_filer", "s3_filer_grpc",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """The folder of a stack, with its ports and keys."""

    folder: Path
    ports: Mapping[str, int]
    keys: Mapping[str, str]

    @classmethod
    def made(cls, folder: Path, wanted: Mapping[str, int]) -> Place:
        """The place in `folder`, made if it is new; ports that were given win, others stay as they were or are free.

        Keys are made once, since the database and the S3 server know them.
        """
        folder.mkdir(parents=True, exist_ok=True)
        before: dict[str, int] = _read(folder / "ports.json")
        chosen = {**_free(), **before, **wanted}
        write_private(folder / "ports.json", json.dumps(chosen))
        keys: dict[str, str] = _read(folder / "keys.json") or {name: secrets.token_hex(20) for name in KEYS}
        write_private(folder / "keys.json", json.dumps(keys))
        return cls(folder, chosen, keys)

    @classmethod
    def found(cls, folder: Path) -> Place | None:
        """The place in `folder`, if there is one."""
        ports, keys = _read(folder / "ports.json"), _read(folder / "keys.json")
        return cls(folder, ports, keys) if ports and keys else None

    @property
    def environment(self) -> Path:
        """The file that a shell reads to use the stack."""
        return self.folder / "environment"

    def write_environment(self, variables: Mapping[str, str]) -> None:
        """Variables as lines that a shell can read; they hold keys, so nobody else may."""
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
        write_private(self.environment, "".join(lines))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text)


def listens(port: int) -> bool:
    """Whether somebody answers on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _read(path: Path) -> Any:
    """What a file of names and values holds; nothing if it is not there or was cut short."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _free() -> dict[str, int]:
    """A port for each name that nobody listens on; all are held at once, so that they differ."""
    held = {name: socket.socket() for name in PORTS}
    for one in held.values():
        one.bind((LOOPBACK, 0))
    ports = {name: int(one.getsockname()[1]) for name, one in held.items()}
    for one in held.values():
        one.close()
    return ports
