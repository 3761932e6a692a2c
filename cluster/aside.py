"""MLflow in a process of its own: its import costs more than a second, which the work need not feel.

In a thread of this process it would hold the interpreter's lock while pictures wait. The child is started before there
is anything to ask (`prepare`), imports while this process does, and yields to the work from then on. It serves the
journals of all runs of a job, and of the jobs after it: a line of JSON on its stdin says what to do with which journal,
a line on its stdout what came of it. It ends with this process, however that ends; the journals on disk say what is
left.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from cluster.journal import Journal
from cluster.settings import Settings
from jobs import children

Answer = Mapping[str, Any]
"""`refused` and `registered` of the journal's `cluster.sender.Sender`."""

NICE = 2
"""How far the child stands back. At 0 the first answers of a job come later; at 5 a short job ends later."""


class _Child:
    """A process that speaks to MLflow, and the environment it was started in."""

    def __init__(self) -> None:
        self.environment = children.environment()
        self.asked = False
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cluster.aside"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
            # Ctrl-C is for this process, which then has more to say. A session of its own would keep it away too, but
            # Linux gives one as much of the cores as all threads here together.
            process_group=0,
        )

    def serves(self) -> bool:
        """Whether it lives, and would be started just so now."""
        return self.process.poll() is None and self.environment == children.environment()

    def ask(self, line: str) -> str:
        """What it answers; nothing if it is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.asked = True
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            return self.process.stdout.readline()
        except BrokenPipeError:
            return ""

    def end(self) -> None:
        """Let it go, and wait until it is gone."""
        self.drop()
        with self.process:
            pass

    def drop(self) -> None:
        """Stop it at once, if all it ever did was to get ready."""
        if not self.asked:
            self.process.kill()


_idle: list[_Child] = []
"""A child that waits for the next job of this process, so that a night of ten jobs imports MLflow once."""

_IDLE = threading.Lock()


def prepare() -> None:
    """Have a child get ready for a job that is about to be read. None is left behind if nothing comes of the job."""
    child = _ready()
    atexit.register(child.drop)
    _keep(child)


class Aside:
    """Asks a child to open runs and to send journals; the child is started when there is none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = {**asdict(settings), "home": str(settings.home)}
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the child to the next job."""
        with self._turn:
            child, self._child = self._child, None
        if child is not None:
            _keep(child)

    def open(self, journal: Journal) -> Answer:
        """Open the run of a journal; its id is in the journal then.

        Raises:
            RuntimeError: with the reason, if that cannot be done.
        """
        return self._ask("open", journal)

    def send(self, journal: Journal) -> Answer:
        """Send what was not sent yet.

        Raises:
            RuntimeError: with the reason, if the server is away; the journal then says what is left.
        """
        return self._ask("send", journal)

    def _ask(self, what: str, journal: Journal) -> Answer:
        with self._turn:
            answer = self._exchange(json.dumps([what, str(journal.folder.resolve()), self._settings]))
        if answer["error"] is not None:
            raise RuntimeError(answer["error"])
        return answer

    def _exchange(self, line: str) -> dict[str, Any]:
        child = self._child = self._child or _ready()
        answer = child.ask(line)
        if not answer:
            # It was killed, or could not start: the next question starts another.
            self._child = None
            child.process.kill()
            raise RuntimeError(f"the process that speaks to it ended with {child.process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found


def _keep(child: _Child) -> None:
    """Leave a child to who needs one next; one is enough."""
    with _IDLE:
        if not _idle:
            _idle.append(child)
            return
    child.end()


def _ready() -> _Child:
    """The idle child if it serves, else a new one."""
    with _IDLE:
        child = _idle.pop() if _idle else None
    if child is not None and child.serves():
        return child
    if child is not None:
        child.end()
    return _Child()


def _serve(answers: Any) -> None:
    """Do what each line of stdin says, until there are no more."""
    from cluster.client import library
    from cluster.sender import Sender, one_line

    # Why it cannot be imported, the first question will tell.
    with contextlib.suppress(Exception):
        library()
    senders = dict[str, Sender]()
    for line in sys.stdin:
        what, folder, settings = json.loads(line)
        answer: dict[str, Any] = {"error": None}
        try:
            if what == "open" or folder not in senders:
                # Journals of jobs before this one are done with.
                senders = {one: sender for one, sender in senders.items() if os.path.isdir(one)}
                senders[folder] = Sender(
                    Journal(Path(folder)), Settings(**{**settings, "home": Path(settings["home"])})
                )
            sender = senders[folder]
            sender.open() if what == "open" else sender.send()
            answer |= {"refused": sender.refused, "registered": sender.registered}
        except Exception as problem:
            answer["error"] = one_line(problem)
        print(json.dumps(answer), file=answers, flush=True)
        gc.enable()


def _main() -> None:
    os.nice(NICE)
    # A terminal may be set to stop who writes to it from the background.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    # MLflow's client does without pandas where there is none, which saves a fifth of its import.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    # What an import makes is no garbage: to look for some takes a tenth of MLflow's.
    gc.disable()
    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Who asked may have been killed meanwhile; the journal says what was done.
    with contextlib.suppress(BrokenPipeError):
        _serve(answers)
    # All is written: taking MLflow apart would keep the parent waiting for half a second.
    os._exit(0)


if __name__ == "__main__":
    _main()
