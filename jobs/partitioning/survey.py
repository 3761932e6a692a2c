"""A corpus counted by workers: each shard read once, then asked round after round from the ids that are kept of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from jobs import records
from jobs.engine import joining, pool
from jobs.engine.commit import fingerprint
from jobs.partitioning import state
from jobs.partitioning.columns import Columns
from jobs.partitioning.rounds import Rounds
from jobs.partitioning.worker import Answer, Source, Surveyor
from jobs.reading import Reading
from jobs.spec import Context, Progress
from vision.geolocation.cells import Rule

SMALL = 4_000_000
"""Photos that one process counts sooner than Ray starts."""

TOGETHER = 4_000_000
"""Photos of small shards that are asked about together, at most."""

TASKS_A_WORKER = 4
"""With fewer tasks than that for each worker, some would wait for the last one."""


class How(Protocol):
    """What of a job says how to work, and never what comes out."""

    @property
    def workers(self) -> int | None: ...

    @property
    def retry_s(self) -> float: ...


@dataclass
class _Tally:
    """How far the first round is."""

    shards: int
    rows: int
    workers: int
    read: int = 0
    done: int = 0
    photos: int = 0
    start: float = field(default_factory=time.monotonic)

    def add(self, answer: Answer) -> Progress:
        self.done += answer.shards
        self.photos += answer.photos
        self.read += answer.read
        rate = self.photos / max(time.monotonic() - self.start, 1e-9)
        return Progress(self.done, self.shards, self.photos, self.rows, 0, rate, self.workers)


def survey(reading: Reading, columns: Columns, rule: Rule, folder: str, how: How, context: Context) -> Rounds:
    """Count the photos of a corpus and divide the globe; all rounds are run when this returns.

    Args:
        folder: URL where the ids of each shard's photos are kept; the caller has claimed it.

    Raises:
        SpecError: if a column is not there or holds no numbers.
        JobFailed: if a shard is missing or damaged.
    """
    sources = _sources(reading, columns)
    state.sweep(folder, [source.file for source, _ in sources])
    rows = sum(photos for _, photos in sources)
    workers = joining.workers_for(how.workers, rows, SMALL)
    groups = _groups(sources, min(TOGETHER, rows // (TASKS_A_WORKER * max(workers, 1))))
    rounds, workers = Rounds(groups, rule), min(workers, len(groups))
    tally = _Tally(len(sources), rows, max(workers, 1))
    surveyor = Surveyor(reading.url, folder, columns, reading.selection)
    for _, answer in pool.spread(rounds, surveyor.make, workers, retry_s=how.retry_s):
        if rounds.opening:
            context.progress(tally.add(answer))
        rounds.take(answer)
    if tally.read < len(sources):
        context.log(f"{len(sources) - tally.read:,} of {len(sources):,} shards were counted before")
    return rounds


def _sources(reading: Reading, columns: Columns) -> list[tuple[Source, int]]:
    """The shards that are read, each with what decides its ids, and with its rows.

    The level-30 ids of a shard follow from its bytes, the rows that are chosen and the columns; not from the rule, so
    that cells of other sizes are made of the same ids.
    """
    limits, selection = reading.selection.limits, reading.selection
    facts = {"state": state.VERSION, "columns": columns.needed, **records.key(reading.subset)}
    if selection.cutoffs is not None:
        facts["cutoffs"] = dict(selection.cutoffs)
    shards = [s for s in reading.corpus.present(reading.split) if limits is None or limits.get(s.file, 0) > 0]
    allowed = [None if limits is None else limits[shard.file] for shard in shards]
    marks = [fingerprint(facts, shard.sha256, most) for shard, most in zip(shards, allowed, strict=True)]
    rows = [shard.rows if most is None else most for shard, most in zip(shards, allowed, strict=True)]
    return [(Source(shard.file, mark), some) for shard, mark, some in zip(shards, marks, rows, strict=True)]


def _groups(sources: Sequence[tuple[Source, int]], photos: int) -> list[tuple[Source, ...]]:
    """Shards in runs of at least so many photos; a large one is a run of its own."""
    groups: list[list[Source]] = []
    held = photos
    for source, rows in sources:
        if held >= photos:
            groups.append([])
            held = 0
        groups[-1].append(source)
        held += rows
    return [tuple(group) for group in groups]
