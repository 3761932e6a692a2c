"""Descriptors spread over Ray actors of one core each.

An actor is dealt work once it has said that it is there: one that waits for a CPU, on a full cluster or after a node
was lost, holds up nothing. An actor that dies is replaced, and its descriptors are leased again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from jobs import arrow
from jobs.engine.joining import Head, first_line, start_ray
from jobs.spec import JobFailed

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T], R]

IN_FLIGHT = 2
"""Descriptors at one actor: the one it works on, and the next, so that it never waits for the driver."""

WATCH_S = 5.0
"""Silence after which Ray's head is asked whether it is still there."""

ATTEMPTS = 3
"""Workers that one descriptor may kill before the job fails, and that may die one after the other with none made."""

_log = logging.getLogger(__name__)


def announce(work: Any, following: Any) -> None:
    """Tell a worker what comes next, if it wants to know."""
    if following is not None and hasattr(work, "ahead"):
        work.ahead(following)


class _Host:
    """The body of an actor: a worker made once and called many times."""

    def __init__(self, make: Callable[[], Work[Any, Any]]) -> None:
        arrow.without_pandas()
        self._work = make()

    def here(self) -> None:
        """Answers when the worker is made."""

    def call(self, task: Any, following: Any) -> Any:
        announce(self._work, following)
        return self._work(task)


@dataclass(eq=False)
class _Seat(Generic[T]):
    """An actor, the descriptors it was sent, and those that it will be sent next; oldest first.

    Attributes:
        coming: answers when the actor is there; None since it has.
    """

    actor: Any
    coming: Any
    leased: deque[tuple[Any, T]] = field(default_factory=deque)
    held: deque[T] = field(default_factory=deque)

    def load(self) -> int:
        return len(self.leased) + len(self.held)

    def awaited(self) -> list[Any]:
        return [ref for ref, _ in self.leased] if self.coming is None else [self.coming]


class Crew(Generic[T, R]):
    """So many actors; see `jobs.engine.pool.spread` for the arguments."""

    def __init__(self, make: Callable[[], Work[T, R]], workers: int, gpus: float, retry_s: float) -> None:
        self._ray = start_ray(workers)
        self._head = Head(self._ray.get_runtime_context().gcs_address, retry_s)
        self._actor = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Host)
        self._make = make
        self._seats: list[_Seat[T]] = [self._seat() for _ in range(workers)]
        self._deaths: dict[int | None, int] = {}
        self._again: deque[T] = deque()

    def _seat(self) -> _Seat[T]:
        actor = self._actor.remote(self._make)
        return _Seat(actor, actor.here.remote())

    def run(self, tasks: Iterator[T]) -> Iterator[tuple[T, R]]:
        try:
            while self._has_work(tasks):
                self._deal(tasks)
                awaited = {ref: seat for seat in self._seats for ref in seat.awaited()}
                answered = self._ray.wait(list(awaited), num_returns=1, timeout=WATCH_S)[0]
                if not answered:
                    self._head.check()
                for ref in answered:
                    yield from self._collect(awaited[ref], ref)
        finally:
            for seat in () if self._head.lost else self._seats:
                with suppress(Exception):
                    self._ray.kill(seat.actor)

    def _has_work(self, tasks: Iterator[T]) -> bool:
        """Whether anything is leased or left to lease."""
        if self._again or any(seat.load() for seat in self._seats):
            return True
        self._again.extend(task for task in [next(tasks, None)] if task is not None)
        return bool(self._again)

    def _deal(self, tasks: Iterator[T]) -> None:
        """Hand out work evenly: every actor gets its first descriptor before any gets a second."""
        there = [seat for seat in self._seats if seat.coming is None]
        for depth in range(IN_FLIGHT + 1):
            for seat in (seat for seat in there if seat.load() <= depth):
                task = self._again.popleft() if self._again else next(tasks, None)
                if task is None:
                    break
                seat.held.append(task)
        self._share_the_rest(there)
        for seat in there:
            while seat.held and len(seat.leased) < IN_FLIGHT:
                task = seat.held.popleft()
                following = seat.held[0] if seat.held else None
                seat.leased.append((seat.actor.call.remote(task, following), task))

    def _share_the_rest(self, there: list[_Seat[T]]) -> None:
        """When nothing is left to deal, an idle actor takes what another only holds."""
        for seat in there:
            fullest = max(there, key=lambda other: len(other.held))
            if not seat.load() and fullest.held and fullest.leased:
                seat.held.append(fullest.held.pop())

    def _collect(self, seat: _Seat[T], ref: Any) -> Iterator[tuple[T, R]]:
        try:
            receipt = self._ray.get(ref)
        except self._ray.exceptions.RayActorError as error:
            self._bury(seat, error)
            return
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if error.cause is not None else error from None
        if seat.coming is not None:
            seat.coming = None
            self._deaths.pop(None, None)  # workers can be made
            return
        task = next(task for leased, task in seat.leased if leased is ref)
        seat.leased = deque(item for item in seat.leased if item[0] is not ref)
        yield task, receipt

    def _bury(self, seat: _Seat[T], error: Exception) -> None:
        """Replace a dead actor and lease its descriptors again; the oldest is the one it died on."""
        first = seat.leased[0][1] if seat.leased else None
        key = None if first is None else id(first)
        self._deaths[key] = self._deaths.get(key, 0) + 1
        reason = first_line(error)
        if self._deaths[key] >= ATTEMPTS:
            killed = f"{first} killed {ATTEMPTS} workers" if seat.leased else "no worker can be made"
            raise JobFailed(f"{killed}: {reason}")
        _log.warning("a worker died%s (%s); its work is leased again", f" on {first}" if seat.leased else "", reason)
        self._again.extend([*(task for _, task in seat.leased), *seat.held])
        self._seats[self._seats.index(seat)] = self._seat()
