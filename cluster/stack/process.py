"""A server as a process of this machine: started, found again by its pid, and stopped with its children only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from jobs.spec import JobFailed

_TAIL = 6  # lines of a log that say why it ended


@dataclass(frozen=True)
class Process:
    """A server called `name`, whose pid and log lie in `folder`.

    A pid may belong to somebody else by the time it is read again, so the moment of its birth is kept beside it.
    """

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """What it said."""
        return self.folder / f"{self.name}.log"

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def start(self, command: Sequence[str], environment: Mapping[str, str], user: str | None = None) -> None:
        """Start it, detached from this process; `user` only works as root."""
        with open(self.log, "ab") as log:
            child = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=[] if user else None,
            )
        born = psutil.Process(child.pid).create_time()
        self._file.write_text(json.dumps({"pid": child.pid, "born": born}))

    def running(self) -> psutil.Process | None:
        """The process, if it is the one that was started here and lives."""
        try:
            kept = json.loads(self._file.read_text())
            found = psutil.Process(kept["pid"])
            alive = abs(found.create_time() - kept["born"]) < 0.01 and found.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, KeyError, psutil.Error):
            return None
        return found if alive else None

    def wait(self, answers: Callable[[], bool], patience_s: float) -> None:
        """Return once it answers.

        Raises:
            JobFailed: if it ended, or said nothing for so long; with the end of its log.
        """
        deadline = time.monotonic() + patience_s
        while not answers():
            if self.running() is None:
                raise JobFailed(f"{self.name} ended as soon as it was started", self._last_words())
            if time.monotonic() > deadline:
                raise JobFailed(f"{self.name} does not answer after {patience_s:.0f} s", self._last_words())
            time.sleep(0.2)

    def stop(self, by: signal.Signals = signal.SIGTERM, patience_s: float = 20.0) -> bool:
        """Ask it to end, and end it and what it started after `patience_s`, and nothing else; whether it ran."""
        found = self.running()
        if found is not None:
            family = [found, *_children(found)]
            with suppress(psutil.NoSuchProcess):
                found.send_signal(by)
            psutil.wait_procs([found], timeout=patience_s)
            # psutil looks at the birth of each again before it sends a signal.
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(family, timeout=5)
        self._file.unlink(missing_ok=True)
        return found is not None

    def _last_words(self) -> tuple[str, ...]:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return (*lines[-_TAIL:], f"all of it is in {self.log}")


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found
