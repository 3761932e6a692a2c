"""A pass over rows: parts of one or more sources, read by workers that send back states and never rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

import pyarrow as pa

from jobs.auditing.source import Columns, Source
from jobs.engine import joining, pool
from jobs.spec import Context, JobFailed, Progress, SpecError
from vision.summing import Summing

SMALL = 20_000_000
"""Rows that one process reads sooner than Ray starts."""

TASKS_A_WORKER = 8


class State(Protocol):
    """What takes tables and adds up."""

    def take(self, split: str, table: pa.Table) -> Self:
        """With the rows of a table, all of one source; `split` is its name."""
        ...

    def merge(self, other: Self) -> Self: ...


S = TypeVar("S", bound=State)
Named = tuple[str, Source]
"""A source with the name of its split."""


@dataclass(frozen=True)
class Run:
    """Parts of one source."""

    source: int
    parts: tuple[str, ...]
    rows: int

    @property
    def shards(self) -> int:
        """How many."""
        return len(self.parts)

    def __str__(self) -> str:
        return ", ".join(self.parts)


@dataclass(frozen=True)
class Reader(Generic[S]):
    """Reads runs."""

    sources: tuple[Named, ...]
    columns: Columns
    zero: S

    def make(self) -> Reader[S]:
        """The worker, where it lives."""
        return self

    def __call__(self, run: Run) -> S:
        """The state of some parts.

        Raises:
            SpecError: if a column is missing or does not hold what it should.
            JobFailed: if a shard is missing or damaged.
        """
        split, source = self.sources[run.source]
        states = Summing[S]()
        try:
            for part in run.parts:
                for table in source.tables(part, self.columns):
                    states.add(self.zero.take(split, table))
            return states.total(self.zero)
        except pa.ArrowInvalid as error:
            raise JobFailed(f"{run} cannot be read: {str(error).splitlines()[0]}") from None
        except (SpecError, JobFailed):
            raise
        except ValueError as error:
            raise SpecError(str(error)) from None


def over(
    sources: Sequence[Named],
    columns: Columns,
    zero: S,
    workers: int | None,
    retry_s: float,
    context: Context,
    small: int = SMALL,
) -> S:
    """All rows of some sources, read once.

    Args:
        workers: processes; 0: this one; None: by the work, none for up to `small` rows.

    Raises:
        SpecError, JobFailed: as the workers do, or where what they found does not add up.
    """
    parts = sum(len(source.parts) for _, source in sources)
    rows = sum(source.rows for _, source in sources)
    workers = min(joining.workers_for(workers, rows, small), parts)
    runs = list(_runs(sources, max(1, parts // (TASKS_A_WORKER * max(1, workers)))))
    try:
        return summed(runs, Reader(tuple(sources), columns, zero).make, zero, workers, retry_s, context)
    except (SpecError, JobFailed):
        raise
    except ValueError as error:
        raise SpecError(str(error)) from None


def _runs(sources: Sequence[Named], step: int) -> Iterator[Run]:
    for number, (_, source) in enumerate(sources):
        for start in range(0, len(source.parts), step):
            some = source.parts[start : start + step]
            yield Run(number, some, source.rows * len(some) // len(source.parts))


class Sized(Protocol):
    """A task that says how much it is about, as far as that is known beforehand."""

    @property
    def rows(self) -> int: ...

    @property
    def shards(self) -> int: ...


class Adds(Protocol):
    """What adds up."""

    def merge(self, other: Self) -> Self: ...


A = TypeVar("A", bound=Adds)
T = TypeVar("T", bound=Sized)


def summed(tasks: Sequence[T], make: Callable[[], Any], zero: A, workers: int, retry_s: float, context: Context) -> A:
    """What workers make of tasks, added up while it is said how far they are."""
    states, rows, done, start = Summing[A](), 0, 0, time.monotonic()
    total, shards = sum(task.rows for task in tasks), sum(task.shards for task in tasks)
    for task, found in pool.spread(tasks, make, min(workers, len(tasks)), retry_s=retry_s):
        states.add(found)
        rows, done = rows + task.rows, done + task.shards
        rate = rows / max(time.monotonic() - start, 1e-9)
        context.progress(Progress(done, shards, rows, total, 0, rate, max(1, workers)))
    return states.total(zero)
