"""What a run has to say, on disk until MLflow has it.

Every event is a line of `.safelight/pending/<key>/events.jsonl`, written before it is sent; files wait beside it.
`sent` counts the bytes of that file which the server has taken. MLflow's calls may be repeated (the same parameter,
tag or point twice is one), so an event that was sent but not yet counted does no harm. The folder goes when all is
sent; what is left after a crash or a lost server is what `safelight results push` sends.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_DAY_S = 86_400

Event = Mapping[str, Any]
"""`kind` and what that kind needs; see `cluster.sender`."""


@dataclass(frozen=True)
class Journal:
    """The folder of one run's records; `key` names it and marks the run, so that it is opened only once."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @classmethod
    def create(cls, state: Path, job: str, tracking_uri: str) -> Journal:
        """Begin a journal in `state`/pending.

        Raises:
            OSError: if the folder cannot be written.
        """
        journal = cls(state / "pending" / uuid.uuid4().hex)
        (journal.folder / "files").mkdir(parents=True)
        head = {
            "job": job,
            "tracking_uri": tracking_uri,
            "started_ms": now_ms(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        _write(journal.folder / "head.json", json.dumps(head, indent=1))
        return journal

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def head(self) -> dict[str, Any]:
        """Job, tracking_uri (masked), started_ms, pid and host."""
        head: dict[str, Any] = json.loads((self.folder / "head.json").read_text())
        return head

    @property
    def run_id(self) -> str | None:
        """The run these records belong to, once it is open."""
        path = self.folder / "run_id"
        return path.read_text() if path.exists() else None

    def set_run(self, run_id: str) -> None:
        _write(self.folder / "run_id", run_id)

    def append(self, event: Event) -> None:
        """Add an event; it outlives this process from here on."""
        line = json.dumps(event, ensure_ascii=False) + "\n"
        with self._lock, open(self.folder / "events.jsonl", "a", encoding="utf-8") as stream:
            stream.write(line)

    def unsent(self) -> list[tuple[Event, int]]:
        """The events that were not sent, each with the offset that counts it as sent. A torn last line is none."""
        path = self.folder / "events.jsonl"
        if not path.exists():
            return []
        offset = self._sent()
        with open(path, "rb") as stream:
            stream.seek(offset)
            lines = stream.read().split(b"\n")[:-1]
        found = []
        for line in lines:
            offset += len(line) + 1
            found.append((json.loads(line), offset))
        return found

    def events(self) -> tuple[list[Event], int]:
        """All events, and how many of them were sent."""
        path = self.folder / "events.jsonl"
        data = path.read_bytes() if path.exists() else b""
        found = [json.loads(line) for line in data.split(b"\n")[:-1]]
        return found, data[: self._sent()].count(b"\n")

    def rewrite(self, events: Sequence[Event], sent: int) -> None:
        """Put other events in place of all, the first `sent` of which were sent. No job may be writing."""
        lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in events]
        # Nothing counts as sent until both are written: to send again does no harm.
        self.acknowledge(0)
        _write(self.folder / "events.jsonl", "".join(lines))
        self.acknowledge(len("".join(lines[:sent]).encode()))

    def acknowledge(self, offset: int) -> None:
        """The server has everything before `offset`."""
        _write(self.folder / "sent", str(offset))

    def file(self, name: str) -> Path:
        """Where a file waits to be sent."""
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def is_running(self) -> bool:
        """Whether its job still works. One of another machine counts as running until it was silent for a day."""
        import psutil

        head = self.head
        if head["host"] != socket.gethostname():
            newest = max(path.stat().st_mtime for path in self.folder.iterdir())
            return time.time() - newest < _DAY_S
        try:
            # A process that began later than the journal merely has the number of the one that wrote it.
            return bool(psutil.Process(head["pid"]).create_time() * 1000 <= head["started_ms"] + 1000)
        except psutil.NoSuchProcess:
            return False

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sent(self) -> int:
        path = self.folder / "sent"
        return int(path.read_text()) if path.exists() else 0


def pending(state: Path) -> list[Journal]:
    """The journals that wait in `state`, oldest first."""
    heads = sorted((state / "pending").glob("*/head.json"), key=lambda path: path.stat().st_mtime)
    return [Journal(path.parent) for path in heads]


def now_ms() -> int:
    """Milliseconds since 1970, as MLflow counts time."""
    return time.time_ns() // 1_000_000


def _write(path: Path, text: str) -> None:
    """A file that is whole or not there."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
