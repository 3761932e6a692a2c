"""Pictures of corpora, each fetched and decoded once, and handed to all that measure them.

A worker answers with states and never with pixels. States add up, so what is measured is the same for any sharding,
order and number of workers. A measure that can do with a small picture says so; where all can, a large JPEG is
decoded at a fraction of its size, which is several times as fast.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
from PIL import Image

from jobs import storage
from jobs.auditing import passes
from jobs.engine import joining
from jobs.engine.selection import ROW
from jobs.engine.shard import Group, OpenShard
from jobs.reading import Reading
from jobs.spec import Context
from vision.image import CorruptImage, Facts, facts, picture, time_limit_s
from vision.summing import Summing

SMALL = 5_000
"""Pictures that one process looks at sooner than Ray starts."""

PART = 16
"""Pictures in memory at once: 12 MB of 500x375, 200 MB of 2048x1536 that somebody wants whole."""

IMAGE_TIME_S = 30.0
"""The longest that one picture may take."""


@dataclass(frozen=True)
class Picture:
    """One picture: `image` is upright, RGB or L, and perhaps smaller than `facts` (format, width, height) say."""

    data: bytes
    image: Image.Image
    facts: Facts


@dataclass(frozen=True)
class Part:
    """Some records of a shard.

    Attributes:
        source: which of the readings they are from, counted from 0.
        split: theirs.
        shard: which shard of all that are read, in the order of the readings and of names.
        rows: their small columns, with what was joined; `__row` is their number in the shard.
        pictures: one for each row, or why there is none.
    """

    source: int
    split: str
    shard: int
    rows: pa.Table
    pictures: Sequence[Picture | CorruptImage]

    @property
    def numbers(self) -> Any:
        """(N,) int64: the number of each row in its shard."""
        return np.asarray(self.rows[ROW].to_numpy(), np.int64)


class Measure(Protocol):
    """A state that takes pictures and adds up. Equal pictures in other parts and another order give equal states."""

    @property
    def least(self) -> int | None:
        """Pixels of a side that are enough; None: the whole picture, to the last bit."""
        ...

    def update(self, part: Part) -> Self: ...

    def merge(self, other: Self) -> Self: ...


@dataclass(frozen=True)
class Measures:
    """Several as one."""

    states: tuple[Any, ...]

    def update(self, part: Part) -> Measures:
        return Measures(tuple(state.update(part) for state in self.states))

    def merge(self, other: Measures) -> Measures:
        return Measures(tuple(a.merge(b) for a, b in zip(self.states, other.states, strict=True)))

    @property
    def shrink_to(self) -> tuple[int, int] | None:
        """The size that is enough for all of them."""
        sides = [state.least for state in self.states]
        return None if None in sides or not sides else (max(sides), max(sides))


@dataclass(frozen=True)
class Task:
    """A shard to look at, with so many rows; `numbers` are those of its rows, in order, where some are wanted only."""

    source: int
    shard: int
    file: str
    sha256: str
    rows: int
    numbers: tuple[int, ...] | None = None
    shards: int = 1

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True)
class Looker:
    """Looks at shards."""

    readings: tuple[Reading, ...]
    zero: Measures

    def make(self) -> Looker:
        """The worker, where it lives."""
        return self

    def __call__(self, task: Task) -> Measures:
        """The measures of one shard.

        Raises:
            JobFailed: if it is missing or damaged.
        """
        reading, states = self.readings[task.source], Summing[Measures]()
        shard = OpenShard(storage.join(reading.url, task.file), task.sha256, reading.selection, task.file)
        for whole in shard.groups():
            group = whole if task.numbers is None else _wanted(whole, task.numbers)
            data = shard.images(group)
            for start in range(0, len(group.rows), PART):
                rows = group.rows.slice(start, PART)
                pictures = [self._picture(one) for one in itertools.islice(data, len(rows))]
                states.add(self.zero.update(Part(task.source, reading.split, task.shard, rows, pictures)))
        return states.total(self.zero)

    def _picture(self, data: bytes | CorruptImage) -> Picture | CorruptImage:
        if isinstance(data, CorruptImage):
            return data
        try:
            with time_limit_s(IMAGE_TIME_S):
                return Picture(data, picture(data, shrink_to=self.zero.shrink_to), facts(data))
        except CorruptImage as error:
            return error


def look(
    readings: Sequence[Reading],
    measures: Sequence[Any],
    workers: int | None,
    retry_s: float,
    context: Context,
    rows: Mapping[int, Sequence[int]] | None = None,
) -> tuple[Any, ...]:
    """All pictures of some readings, measured in one pass.

    Args:
        measures: zeros of whatever is a `Measure`.
        workers: processes; 0: this one; None: by the work.
        rows: shard, as `Part.shard` counts them, to numbers of rows in it: only these are looked at.

    Returns:
        The measures, in their order.

    Raises:
        JobFailed: if a shard is missing or damaged.
    """
    zero, tasks = Measures(tuple(measures)), list(_tasks(readings, rows))
    workers = joining.workers_for(workers, sum(task.rows for task in tasks), SMALL)
    return passes.summed(tasks, Looker(tuple(readings), zero).make, zero, workers, retry_s, context).states


def _tasks(readings: Sequence[Reading], rows: Mapping[int, Sequence[int]] | None) -> Iterator[Task]:
    """The shards that hold a chosen row."""
    numbers = itertools.count()
    for source, reading in enumerate(readings):
        limits = reading.selection.limits
        for shard in reading.corpus.present(reading.split):
            number = next(numbers)
            count = shard.rows if limits is None else limits.get(shard.file, 0)
            if rows is not None:
                wanted = tuple(sorted(rows.get(number, ())))
                if wanted:
                    yield Task(source, number, shard.file, shard.sha256, len(wanted), wanted)
            elif count:
                yield Task(source, number, shard.file, shard.sha256, count)


def _wanted(group: Group, rows: tuple[int, ...]) -> Group:
    """Those rows of a row group whose numbers are wanted."""
    mine = np.flatnonzero(np.isin(group.rows[ROW].to_numpy(), rows))
    return Group(group.number, group.places[mine], group.rows.take(pa.array(mine)))
