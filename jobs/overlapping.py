"""Two label volumes held against each other: counted block by block, added, scored once by the task's room.

The table of truth against prediction adds up over blocks, so scores are those of the whole volumes for any blocks and
workers. A driver holds the table: 24 bytes for each pair of ids that meet somewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jobs import arguments, tracing
from jobs.engine import joining, pool
from jobs.segmenting.overlaps import Overlapping
from jobs.spec import Context, Progress, Report, SpecError
from jobs.stages.region import Region
from jobs.volumes.opening import Opened, opened
from vision.accumulator import Estimate
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.contingency import Contingency
from vision.corpora.volumes import Address, Triple, check_same_place
from vision.summing import Summing

SIDE = 128
"""Voxels along an axis that are compared at once, or a few chunks."""

SMALL = 64
"""Blocks that one process compares sooner than Ray starts."""

IDLE = ("corpus", "split", "where", "limit", "sample", "stratify", "join", "by", "reference", "cells", "against")
"""Fields of an evaluation that say nothing about volumes."""


class Asks(Protocol):
    """What of an evaluation is asked of volumes."""

    truth: str | None
    predictions: str | None
    measure: str | None
    workers: int | None
    retry_s: float


def check(room: Any, task: str) -> None:
    """Refuse a task whose answers are not volumes.

    Raises:
        SpecError: if its room scores no overlaps.
    """
    if not hasattr(room, "of_overlaps"):
        raise SpecError(f"truth: answers for the task {task} are not volumes of ids; it takes no --truth")


def check_suite(room: Any, task: str) -> None:
    """Refuse records for a task whose answers are volumes.

    Raises:
        SpecError: if its room scores overlaps and nothing else.
    """
    if not hasattr(room, "suite"):
        raise SpecError(f"task: answers for {task} are volumes: give --truth and --predictions, two volumes of ids")


def scored(job: Any, room: Any, task: str, context: Context) -> Report:
    """The scores of one volume of ids against another.

    Raises:
        SpecError: if one is missing, no labels, or they are not the same voxels; or a field does not apply.
        JobFailed: if a block cannot be read.
    """
    check(room, task)
    for name in IDLE:
        if getattr(job, name):
            raise SpecError(f"{name}: nothing is chosen from volumes")
    if not job.predictions:
        raise SpecError("predictions: a volume of ids is needed")
    found = opened(job.predictions, "predictions", labels=True)
    metrics, tags = dict[str, Estimate](), {"predictions_mark": found.mark}
    if job.truth:
        truth = _truth(job.truth, found)
        metrics |= _measured(room, _counted(truth, found, job, context), job.measure)
        tags |= {"truth": str(truth.address), "truth_mark": truth.mark}
    if job.skeletons:
        metrics |= _followed(found, job)
    return Report(metrics, output=str(found.address), tags=tags)


def _truth(text: str, found: Opened) -> Opened:
    truth = opened(text, "truth", labels=True)
    try:
        check_same_place(truth.volume, found.volume, (f"--truth {truth.address}", f"--predictions {found.address}"))
    except ValueError as error:
        raise SpecError(f"truth: {error}") from None
    return truth


def _measured(room: Any, table: Contingency, words: str | None) -> Mapping[str, Estimate]:
    try:
        scored: Mapping[str, Estimate] = room.of_overlaps(table, **(arguments.parse(words, "measure") if words else {}))
    except (TypeError, ValueError) as error:
        raise SpecError(f"measure: {error}") from None
    return scored


def _followed(found: Opened, job: Any) -> Mapping[str, Estimate]:
    """What skeletons say."""
    shape = found.volume.shape
    kept, voxels = tracing.within(tracing.read(job.skeletons, job.skeleton_nm), found, Box((0, 0, 0), shape))
    grid = Grid(shape, _side(found.volume.chunk, shape))
    return tracing.scores(kept, tracing.sampled(found.address, voxels, grid, job))


def _counted(truth: Opened, found: Opened, job: Asks, context: Context) -> Contingency:
    """The table of all blocks."""
    shape = truth.volume.shape
    region = Region(Grid(shape, _side(found.volume.chunk or truth.volume.chunk, shape)), Box((0, 0, 0), shape))
    workers = min(joining.workers_for(job.workers, region.groups, SMALL), region.groups)
    counting, total, blocks = Counting(truth.address, found.address, region), Summing[Contingency](), 0
    for group, table in pool.spread(range(region.groups), counting.make, workers, retry_s=job.retry_s):
        total.add(table)
        blocks += region.size_of(group)
        done = Progress(blocks, len(region), blocks, len(region), 0, 0.0, max(workers, 1), "block", "blocks")
        context.progress(done)
    return total.total(Contingency())


@dataclass(frozen=True)
class Counting:
    """Counts groups of blocks; picklable."""

    truth: Address
    segments: Address
    region: Region

    def make(self) -> Counter:
        """What works, where it lives."""
        return Counter(self)


class Counter:
    """Counts the overlaps of a group."""

    def __init__(self, how: Counting) -> None:
        self._region, self._work = how.region, Overlapping(how.truth, how.segments, None).make()

    def __call__(self, group: int) -> Contingency:
        grid = self._region.grid
        return Contingency.total(self._work.table(grid.block(number)) for number in self._region.group(group))


def _side(chunk: Triple | None, shape: Triple) -> Zyx:
    """Blocks of about `SIDE`, in whole chunks where there are any."""
    z, y, x = (min(most, c * max(1, SIDE // c)) for most, c in zip(shape, chunk or (SIDE,) * 3, strict=True))
    return z, y, x
