"""Descriptors spread over workers: in this process, or over Ray actors of one core each.

A worker is made once where it lives (`make()`), then called with one descriptor after another; what it returns is a
small receipt. A call may happen more than once, when a worker dies: workers commit whole files under fixed names,
which makes that harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from jobs.engine.crew import Crew, announce

T = TypeVar("T")
R = TypeVar("R")
Work = Callable[[T], R]


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
        yield from Crew(make, workers, gpus, retry_s).run(iter(tasks))


def _here(tasks: Iterator[T], work: Work[T, R]) -> Iterator[tuple[T, R]]:
    task = next(tasks, None)
    while task is not None:
        following = next(tasks, None)
        announce(work, following)
        yield task, work(task)
        task = following if following is not None else next(tasks, None)
