"""The rows that a training sees, as counts: the row groups of a split's shards and how many chosen rows each has.

The driver reads the small columns of every shard once (some 30 bytes a record) and keeps the counts: 12 bytes a row
group of 128 records, so that 1.28 million records are 120 KB and a billion are 94 MB. Workers get the counts.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.engine.selection import ROW, Selection, small_columns
from jobs.reading import Reading
from jobs.shards import opened
from jobs.spec import JobFailed, SpecError
from jobs.training.source import Lesson
from vision.accumulator import Array

if TYPE_CHECKING:
    from jobs.training.course import Course
    from jobs.training.reading import Reader
    from jobs.training.validating import Validation

_READERS = 8


class Objective(Lesson, Protocol):
    """What a room says of learning from records."""

    def targets(self, rows: pa.Table) -> Array: ...

    def census(self, targets: Array) -> Array: ...

    def check(self, census: Array) -> None: ...

    def answers(self, outputs: Any, targets: Array) -> dict[str, pa.Array]: ...

    def truths(self, targets: Array) -> dict[str, pa.Array]: ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Where rows lie.

    Attributes:
        url: of the corpus.
        files: its shards, in order.
        units: (U, 2) int32, the shard and the row group of each unit.
        sizes: (U,) int64, its chosen rows.
        selection: what chooses them.
    """

    url: str
    files: tuple[str, ...]
    units: Array
    sizes: Array
    selection: Selection

    @property
    def count(self) -> int:
        return int(self.sizes.sum())

    def feeder(self, course: Course, decoders: int) -> Reader:
        from jobs.training.reading import MIB, Reader

        objective, look = cast(Objective, course.objective), course.model.preprocessing
        return Reader(self, objective, look, course.augmentation, course.cache_mb * MIB, decoders)

    def validation(self, course: Course, decoders: int) -> Validation:
        from jobs.training.validating import Validation

        return Validation(self, course, decoders)


@dataclass(frozen=True)
class Held:
    """A shard's chosen rows: its footer, and for each row group where they stand in it and their small columns."""

    metadata: Any
    groups: tuple[tuple[Array, pa.Table], ...]


def hold(url: str, file: str, selection: Selection) -> Held:
    """The chosen rows of a shard, without their pictures.

    Raises:
        JobFailed: if it is missing.
    """
    with opened(url, file) as shard:
        rows, metadata = selection.rows(small_columns(shard), file), shard.metadata
    numbers, start, groups = rows[ROW].to_numpy(), 0, []
    for number in range(metadata.num_row_groups):
        end = start + metadata.row_group(number).num_rows
        mine = np.flatnonzero((numbers >= start) & (numbers < end))
        groups.append((numbers[mine] - start, rows.take(pa.array(mine))))
        start = end
    return Held(metadata, tuple(groups))


def survey(reading: Reading, objective: Objective, *, learned: bool = True) -> Rows:
    """Count a split's rows, and look at what there is to learn.

    Args:
        learned: whether these rows are learned from, so that every class must be among them.

    Raises:
        SpecError: if nothing is chosen, a truth makes no sense, or a class has no records.
        JobFailed: if a shard is missing or has another size than the manifest says.
    """
    limits = reading.selection.limits
    shards = [s for s in reading.corpus.present(reading.split) if limits is None or limits.get(s.file, 0) > 0]
    for shard in shards:
        found = storage.info(storage.join(reading.url, shard.file)).size
        if found is not None and found != shard.bytes:
            raise JobFailed(f"{reading.url}/{shard.file} has {found} bytes, not {shard.bytes}: see `safelight verify`")
    try:
        with ThreadPoolExecutor(_READERS) as readers:
            counted = list(
                readers.map(lambda s: _counted(hold(reading.url, s.file, reading.selection), objective), shards)
            )
        if learned and counted:
            objective.check(np.sum([census for _, census in counted], axis=0))
    except (SpecError, JobFailed):
        raise
    except ValueError as error:
        raise SpecError(f"{reading.corpus.name}, split {reading.split}: {error}") from None
    units = [(number, group) for number, (sizes, _) in enumerate(counted) for group in range(len(sizes))]
    sizes = np.concatenate([sizes for sizes, _ in counted]) if counted else np.zeros(0, np.int64)
    if not sizes.sum():
        raise SpecError(f"{reading.corpus.name}, split {reading.split}: there are no such records")
    return Rows(reading.url, tuple(s.file for s in shards), np.array(units, np.int32), sizes, reading.selection)


def _counted(held: Held, objective: Objective) -> tuple[Array, Array]:
    """The rows of each row group, and what they show."""
    sizes = np.array([len(places) for places, _ in held.groups], np.int64)
    return sizes, np.sum([objective.census(objective.targets(rows)) for _, rows in held.groups], axis=0)
