"""A journal sent beside the work: opening the run and sending take seconds that the job need not wait for.

A thread has the run opened (`cluster.aside`) and then sends what is written. If the run cannot be opened, the job is
stopped, since a server that is not there at the start is a mistake to be told at once. If the server goes away later,
sending is tried again every `RETRY_S` and once more at the end; the job goes on.
"""

from __future__ import annotations

import signal
import threading
from typing import Self

from cluster.aside import Answer, Aside
from cluster.journal import Journal
from jobs.spec import JobFailed

RETRY_S = 20.0

_WAKE = signal.SIGUSR1
"""Not Ctrl-C's: a shell has the jobs that it starts with `&` ignore that one."""


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


class Follower:
    """Sends a journal in the background, from `start` to `finish`."""

    def __init__(self, journal: Journal, aside: Aside) -> None:
        self.journal = journal
        self._aside = aside
        self._answer: Answer | None = None
        self.refusal: str | None = None
        self.lost: str | None = None
        self._state = threading.Condition()
        self._interruptible = False
        self._finishing = False
        # Counts of what was written, what somebody waits for, and what was tried.
        self._written = 0
        self._urgent = 0
        self._tried = 0
        self._thread = threading.Thread(target=self._follow, name="mlflow", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def work_begins(self) -> None:
        """From here on the main thread is interrupted if the run cannot be opened."""
        with self._state:
            self._interruptible = threading.current_thread() is threading.main_thread()
            if self._interruptible:
                signal.signal(_WAKE, _interrupt)
        self.raise_refusal()

    def work_ends(self) -> None:
        """From here on it is not."""
        with self._state:
            self._interruptible = False

    def notify(self) -> None:
        """There is something to send.

        Raises:
            JobFailed: if the run could not be opened.
        """
        with self._state:
            self._written += 1
            self._state.notify_all()
        self.raise_refusal()

    def raise_refusal(self) -> None:
        """Nothing, unless the run could not be opened.

        Raises:
            JobFailed: if so.
        """
        # Under the lock, so that an interruption of this thread has come by the time that the reason is seen.
        with self._state:
            refusal = self.refusal
        if refusal is not None:
            where = self.journal.head["tracking_uri"]
            raise JobFailed(f"MLflow at {where} would not open a run: {refusal}")

    def opened(self) -> Answer:
        """What MLflow last said of the run, once it is open.

        Raises:
            JobFailed: if it could not be opened.
        """
        with self._state:
            self._state.wait_for(lambda: self._answer is not None or self.refusal is not None)
        self.raise_refusal()
        assert self._answer is not None
        return self._answer

    def settle(self) -> str | None:
        """Wait until all that was written is sent, or the server is found to be away: then the reason."""
        with self._state:
            self._written += 1
            wanted = self._urgent = self._written
            self._state.notify_all()
            self._state.wait_for(lambda: self._tried >= wanted or self.refusal is not None)
        self.raise_refusal()
        return self.lost

    def finish(self) -> str | None:
        """Like `settle`, for the last time: the thread ends."""
        with self._state:
            self._written += 1
            self._urgent = self._written
            self._finishing = True
            self._state.notify_all()
        self._thread.join()
        self.raise_refusal()
        return self.lost

    def _follow(self) -> None:
        try:
            answer = self._aside.open(self.journal)
        except Exception as error:
            self._refuse(str(error))
            return
        with self._state:
            self._answer = answer
            self._state.notify_all()
        while self._wait():
            self._send()

    def _wait(self) -> bool:
        """Until there is news, or a lost server may be back; False when nothing more will come."""
        with self._state:
            if self.lost is None:
                self._state.wait_for(lambda: self._tried < self._written or self._finishing)
            else:
                self._state.wait_for(lambda: self._tried < self._urgent or self._finishing, RETRY_S)
            return not (self._finishing and self._tried >= self._urgent)

    def _send(self) -> None:
        written = self._written
        try:
            answer, lost = self._aside.send(self.journal), None
        except Exception as error:
            answer, lost = None, str(error)
        with self._state:
            self._answer = answer or self._answer
            self.lost = lost
            self._tried = written
            self._state.notify_all()

    def _refuse(self, reason: str) -> None:
        with self._state:
            self.refusal = reason
            self._state.notify_all()
            if self._interruptible:
                # The main thread may wait for shards for hours: wake it.
                signal.pthread_kill(threading.main_thread().ident or 0, _WAKE)
