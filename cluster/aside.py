"""MLflow in a process of its own: its import costs more than a second, which the work need not feel.

In a thread of this process it would hold the interpreter's lock while pictures wait. The child serves the journals of
all runs of a job: a line of JSON on its stdin says what to do with which journal, a line on its stdout what came of
it. It ends with this process, however that ends; the journals on disk say what is left.
"""

from __future__ import annotations

import json
import os
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


class Aside:
    """Asks a child to open runs and to send journals; the child is started when there is none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turn = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the child go."""
        with self._turn:
            child, self._child = self._child, None
        if child is not None:
            with child:
                pass

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
            answer = self._exchange(json.dumps([what, str(journal.folder.resolve())]))
        if answer["error"] is not None:
            raise RuntimeError(answer["error"])
        return answer

    def _exchange(self, line: str) -> dict[str, Any]:
        child = self._child = self._child or _start(self._settings)
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(line + "\n")
            child.stdin.flush()
            answer = child.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            # It was killed, or could not start: the next question starts another.
            self._child = None
            child.kill()
            raise RuntimeError(f"the process that speaks to it ended with {child.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found


def _start(settings: Settings) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "cluster.aside"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=children.environment(),
        # Ctrl-C is for this process, which then has more to say.
        start_new_session=True,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps({**asdict(settings), "home": str(settings.home)}) + "\n")
    return child


def _serve(settings: Settings, answers: Any) -> None:
    """Do what each line of stdin says, until there are no more."""
    from cluster.sender import Sender, one_line

    senders = dict[str, Sender]()
    for line in sys.stdin:
        what, folder = json.loads(line)
        answer: dict[str, Any] = {"error": None}
        try:
            if folder not in senders:
                senders[folder] = Sender(Journal(Path(folder)), settings)
            sender = senders[folder]
            sender.open() if what == "open" else sender.send()
            answer |= {"refused": sender.refused, "registered": sender.registered}
        except Exception as problem:
            answer["error"] = one_line(problem)
        print(json.dumps(answer), file=answers, flush=True)


def _main() -> None:
    # What libraries print is not an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    facts = json.loads(sys.stdin.readline())
    _serve(Settings(**{**facts, "home": Path(facts["home"])}), answers)
    # All is written: taking MLflow apart would keep the parent waiting for half a second.
    os._exit(0)


if __name__ == "__main__":
    _main()
