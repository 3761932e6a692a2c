"""A worker's micro-batches of an epoch, in order, with the bytes of the next window fetched meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Queue
from typing import Any, TypeVar

import numpy as np

from jobs.training.course import Course
from jobs.training.source import Feeder, Part
from vision import order
from vision.accumulator import Array
from vision.training import Batch

T = TypeVar("T")


@dataclass(frozen=True)
class Portion:
    """A worker's part of one global batch: the pictures of its micro-batches, by their places in it."""

    batch: Batch
    micros: tuple[tuple[int, Part], ...]


def portions(course: Course, reader: Feeder, epoch: int, start: int, worker: int, workers: int) -> Iterator[Portion]:
    """This worker's part of every global batch of an epoch, from number `start` on; a part may be empty."""
    held: dict[int, Any] = {}
    sequence = np.empty(0, np.int64)
    with ThreadPoolExecutor(1) as ahead:
        number = first = start
        for window, encoded in _fetched(course, reader, epoch, start, worker, workers, ahead):
            rows = window.rows[max(start * course.batch_size - window.first, 0) :]
            sequence = np.concatenate([sequence, rows])
            held |= encoded
            while number < course.epoch_steps:
                count = course.batch_rows(number)
                begin = (number - first) * course.batch_size
                if begin + count > len(sequence):
                    break
                rows = sequence[begin : begin + count]
                yield _portion(course, reader, epoch, number, rows, held, worker, workers)
                number += 1
            sequence, first = sequence[(number - first) * course.batch_size :], number
            held = {row: held[row] for row in sequence.tolist() if row in held}


def _fetched(
    course: Course, reader: Feeder, epoch: int, start: int, worker: int, workers: int, ahead: ThreadPoolExecutor
) -> Iterator[tuple[order.Window, Mapping[int, Any]]]:
    """The windows of an epoch, each with the bytes of this worker's rows, one read while the one before is used."""

    def begin(window: order.Window | None) -> tuple[order.Window, Future[Mapping[int, Any]]] | None:
        return None if window is None else (window, ahead.submit(reader.fetch, _mine(course, window, worker, workers)))

    windows = course.order.windows(epoch, start * course.batch_size)
    current = begin(next(windows, None))
    while current is not None:
        encoded = current[1].result()
        following = begin(next(windows, None))
        yield current[0], encoded
        current = following


def _mine(course: Course, window: order.Window, worker: int, workers: int) -> Array:
    end = window.first + len(window.rows)
    sizes = (course.rows.count, course.batch_size, course.micro_batch)
    mine: Array = window.rows[order.taken(window.first, end, *sizes, worker, workers)]
    return mine


def _portion(
    course: Course,
    reader: Feeder,
    epoch: int,
    number: int,
    rows: Array,
    held: Mapping[int, Any],
    worker: int,
    workers: int,
) -> Portion:
    size = course.micro_batch
    count = order.steps(len(rows), size)
    mine = order.share(count, worker, workers)
    parts = (course.recipe.seed, epoch)
    micros = tuple((j, reader.pictures(rows[j * size : (j + 1) * size], held, *parts)) for j in mine)
    return Portion(Batch(epoch * course.epoch_steps + number, len(rows), count, count - mine.stop, len(mine)), micros)


_END = object()


def ahead_of(items: Iterator[T], depth: int) -> Iterator[T]:
    """The same items, made in another thread up to `depth` ahead of who takes them: feeds a device beside the CPU."""
    queue: Queue[Any] = Queue(depth)
    over = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if over.is_set():
                    return
                queue.put(item)
            queue.put(_END)
        except BaseException as error:
            queue.put(error)

    threading.Thread(target=make, daemon=True).start()
    try:
        while (item := queue.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        while not queue.empty():  # who waits for room may go
            queue.get_nowait()
