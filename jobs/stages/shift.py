"""One set of workers for all stages of a run: a Ray actor costs seconds to start, and a small stage no more than that.

A worker keeps what it needs for the stage it is at, and lets go of it when it is handed a group of another.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from jobs.engine import pool
from jobs.stages.runner import Desk, Receipt, Runner


@dataclass(frozen=True)
class Task:
    """A group of a stage, and how it is done; picklable."""

    runner: Runner
    group: int

    def __str__(self) -> str:
        return f"group {self.group} of {self.runner.stage.name}"


class Hand:
    """A worker, of whatever stage comes."""

    def __init__(self) -> None:
        self._at = ""
        self._desk: Desk | None = None

    def __call__(self, task: Task) -> Receipt:
        """Do what is missing of a group.

        Raises:
            JobFailed: if a block cannot be done.
        """
        at = f"{task.runner.marks} {task.runner.stage.fingerprint}"
        if self._desk is None or self._at != at:
            self._desk = None  # before the next is made: a volume's decoder is large
            self._desk, self._at = task.runner.make(), at
        return self._desk(task.group)


class Shift:
    """Workers that stay from stage to stage; to be used as a context, at whose end they go."""

    def __init__(self, retry_s: float) -> None:
        self._retry_s, self._crew = retry_s, (0, 0.0)
        self._tasks = _Tasks()
        self._stream: Iterator[tuple[Task, Receipt]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.rest()

    def work(self, runner: Runner, groups: range, workers: int) -> Iterator[tuple[int, Receipt]]:
        """Yield (group, receipt) as each is done, in any order; see `jobs.engine.pool.spread`.

        Args:
            workers: as many as there are stay; another number are sent home, and those asked for are made; so are
                those of a stage that asks for other GPUs.

        Raises:
            JobFailed: if a block cannot be done, or one group killed several workers.
        """
        gpus = runner.stage.gpus
        if self._crew != (workers, gpus):
            self.rest()
        self._tasks.give(Task(runner, group) for group in groups)
        if self._stream is None:
            self._crew = workers, gpus
            self._stream = pool.spread(self._tasks, Hand, workers, gpus=gpus, retry_s=self._retry_s)
        try:
            for _ in groups:
                task, receipt = next(self._stream)
                yield task.group, receipt
        except BaseException:
            self.rest()
            raise

    def rest(self) -> None:
        """Send the workers home; whoever asks for work again makes others."""
        stream, self._stream, self._tasks = self._stream, None, _Tasks()
        if isinstance(stream, Generator):
            stream.close()


class _Tasks:
    """Tasks of one stage after another: after its last, it is only out of tasks until more are given."""

    def __init__(self) -> None:
        self._given: Iterator[Task] = iter(())

    def __iter__(self) -> Iterator[Task]:
        return self

    def __next__(self) -> Task:
        return next(self._given)

    def give(self, tasks: Iterable[Task]) -> None:
        self._given = iter(tasks)
