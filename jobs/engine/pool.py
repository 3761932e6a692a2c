"""Descriptors spread over workers: in this process, or over Ray actors of one core each.

A worker is made once where it lives (`make()`), then called with one descriptor after another; what it returns is a
small receipt. An actor that dies is replaced and its descriptors are leased again, so a call may happen more than
once: workers commit whole files under fixed names, which makes that harmless.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from jobs.spec import JobFailed

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T], R]

IN_FLIGHT = 2
"""Descriptors at one actor: the one it works on, and the next, so that it never waits for the driver."""

REACH_S = 10
"""Seconds in which a cluster must let us in."""

WATCH_S = 5.0
"""Silence after which Ray's head is asked whether it is still there."""

ATTEMPTS = 3
"""Workers that one descriptor may kill before the job fails."""

_log = logging.getLogger(__name__)


def spread(
    tasks: Iterable[T], make: Callable[[], Work[T, R]], workers: int, *, gpus: float = 0.0, retry_s: float = 30.0
) -> Iterator[tuple[T, R]]:
    """Yield (task, receipt) as each is done, in any order.

    Args:
        tasks: picklable descriptors, taken as workers become free; an iterator may give more after it gave none, once
            the receipt that brings them was yielded.
        make: picklable; builds the worker where it will live. A worker with a method `ahead(task)` is told what comes
            next while it works, so that it can read ahead.
        workers: actors to spread over; 0 works in this process, without Ray.
        gpus: GPUs that each actor reserves.
        retry_s: how long Ray's head may be away.

    Raises:
        JobFailed: if one descriptor killed `ATTEMPTS` workers, or Ray is lost.
        Exception: what a worker raised, as it raised it.
    """
    if workers == 0:
        yield from _here(iter(tasks), make())
    else:
        yield from _Crew(make, workers, gpus, retry_s).run(iter(tasks))


def _here(tasks: Iterator[T], work: Work[T, R]) -> Iterator[tuple[T, R]]:
    task = next(tasks, None)
    while task is not None:
        following = next(tasks, None)
        _announce(work, following)
        yield task, work(task)
        task = following if following is not None else next(tasks, None)


def _announce(work: Any, following: Any) -> None:
    if following is not None and hasattr(work, "ahead"):
        work.ahead(following)


def start_ray(workers: int) -> Any:
    """Ray, joined to the cluster at RAY_ADDRESS, or started on this machine and nowhere else."""
    import ray

    if not ray.is_initialized():
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        address = os.environ.get("RAY_ADDRESS") or "local"
        check_reachable(address)
        local: dict[str, Any] = {}
        if address == "local":
            # Descriptors are small: the object store needs next to nothing.
            local = {
                "num_cpus": max(workers, os.cpu_count() or 1),
                "include_dashboard": False,
                "object_store_memory": 100 * 2**20,
            }
        os.environ.setdefault("RAY_gcs_server_port_wait_time_s", str(REACH_S))
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
            raise JobFailed(f"Ray at {address} cannot be used: {_refusal(address) or _first_line(error)}") from None
    return ray


def _refusal(address: str) -> str | None:
    """What the head of a cluster says to who knocks, where Ray only says that it could not come in."""
    from ray import _raylet
    from ray.exceptions import AuthenticationError

    try:
        _raylet.GcsClient(address=address)  # type: ignore[attr-defined]
    except AuthenticationError:
        return "it does not know this token (RAY_AUTH_MODE=token with RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH)"
    except Exception as error:
        return _first_line(error)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def check_reachable(address: str) -> None:
    """Knock at a cluster's door, because Ray itself waits for minutes where nobody answers.

    Raises:
        JobFailed: if nobody listens at `host:port` or `ray://host:port`.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise JobFailed(f"Ray at {address} cannot be reached: {error.strerror or error}") from None


def stop_ray() -> None:
    """Let go of Ray, if this process holds it and its head still answers."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


@dataclass
class _Seat(Generic[T]):
    """An actor, the descriptors it was sent, and those that it will be sent next; oldest first."""

    actor: Any
    leased: deque[tuple[Any, T]] = field(default_factory=deque)
    held: deque[T] = field(default_factory=deque)

    def load(self) -> int:
        return len(self.leased) + len(self.held)


class _Host:
    """The body of an actor: a worker made once and called many times."""

    def __init__(self, make: Callable[[], Work[Any, Any]]) -> None:
        self._work = make()

    def call(self, task: Any, following: Any) -> Any:
        _announce(self._work, following)
        return self._work(task)


def _leave() -> None:
    """End the process without Ray's goodbyes: to a head that is gone they take a minute and end in a crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _Head:
    """Whether Ray's head is still there: Ray itself waits for minutes, and then ends the process."""

    def __init__(self, address: str, retry_s: float) -> None:
        self._address, self._retry_s = address, retry_s
        self._heard = time.monotonic()
        self.lost = False

    def check(self) -> None:
        """Nothing, if it answers or has not been away for long.

        Raises:
            JobFailed: if it was silent for `retry_s`.
        """
        try:
            check_reachable(self._address)
        except JobFailed as error:
            if time.monotonic() - self._heard >= self._retry_s:
                self.lost = True
                atexit.register(_leave)
                raise JobFailed(
                    f"{error}; it was lost {self._retry_s:g} s ago: what is committed stays, run the same command again"
                ) from None
        else:
            self._heard = time.monotonic()


class _Crew(Generic[T, R]):
    def __init__(self, make: Callable[[], Work[T, R]], workers: int, gpus: float, retry_s: float) -> None:
        self._ray = start_ray(workers)
        self._head = _Head(self._ray.get_runtime_context().gcs_address, retry_s)
        host = self._ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(_Host)
        self._new_actor: Callable[[], Any] = lambda: host.remote(make)
        self._seats: list[_Seat[T]] = []
        self._workers = workers
        self._deaths: dict[int, int] = {}
        self._again: deque[T] = deque()

    def run(self, tasks: Iterator[T]) -> Iterator[tuple[T, R]]:
        try:
            while True:
                self._deal(tasks)
                leased = {ref: seat for seat in self._seats for ref, _ in seat.leased}
                if not leased:
                    return
                answered = self._ray.wait(list(leased), num_returns=1, timeout=WATCH_S)[0]
                if not answered:
                    self._head.check()
                for ref in answered:
                    yield from self._collect(leased[ref], ref)
        finally:
            for seat in () if self._head.lost else self._seats:
                with suppress(Exception):
                    self._ray.kill(seat.actor)

    def _deal(self, tasks: Iterator[T]) -> None:
        """Hand out work evenly: every actor gets its first descriptor before any gets a second."""
        for depth in range(IN_FLIGHT + 1):
            for index in range(self._workers):
                if index < len(self._seats) and self._seats[index].load() > depth:
                    continue
                task = self._again.popleft() if self._again else next(tasks, None)
                if task is None:
                    break
                if index >= len(self._seats):
                    self._seats.append(_Seat(self._new_actor()))
                self._seats[index].held.append(task)
        self._share_the_rest()
        for seat in self._seats:
            while seat.held and len(seat.leased) < IN_FLIGHT:
                task = seat.held.popleft()
                following = seat.held[0] if seat.held else None
                seat.leased.append((seat.actor.call.remote(task, following), task))

    def _share_the_rest(self) -> None:
        """When nothing is left to deal, an idle actor takes what another only holds."""
        for seat in self._seats:
            fullest = max(self._seats, key=lambda other: len(other.held))
            if not seat.load() and fullest.held and fullest.leased:
                seat.held.append(fullest.held.pop())

    def _collect(self, seat: _Seat[T], ref: Any) -> Iterator[tuple[T, R]]:
        task = next(task for leased, task in seat.leased if leased is ref)
        try:
            receipt = self._ray.get(ref)
        except self._ray.exceptions.RayActorError as error:
            self._bury(seat, error)
            return
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if error.cause is not None else error from None
        seat.leased = deque(item for item in seat.leased if item[0] is not ref)
        yield task, receipt

    def _bury(self, seat: _Seat[T], error: Exception) -> None:
        """Replace a dead actor and lease its descriptors again; the oldest is the one it died on."""
        first = seat.leased[0][1]
        self._deaths[id(first)] = self._deaths.get(id(first), 0) + 1
        reason = _first_line(error)
        if self._deaths[id(first)] >= ATTEMPTS:
            raise JobFailed(f"{first} killed {ATTEMPTS} workers: {reason}")
        _log.warning("a worker died on %s (%s); its work is leased again", first, reason)
        self._again.extend(task for _, task in seat.leased)
        seat.leased.clear()
        seat.actor = self._new_actor()
