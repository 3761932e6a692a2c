"""A plan carried out: leases spread over replicas, receipts counted, errors held against their limit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.asking import Predicting
from jobs.engine import commit, joining, pool
from jobs.engine.commit import Receipt
from jobs.engine.lease import Lease
from jobs.engine.leases import Leases
from jobs.engine.plan import Plan
from jobs.engine.replica import Failure, Outcome, Replica, Target
from jobs.engine.selection import Selection
from jobs.spec import Context, JobFailed, Progress

SMALL = 512
"""Images that one process answers sooner than Ray starts: about 10 s of a small net on one core."""

LISTED = 1000
"""Broken images that are listed; all of them are rows of the output."""

WINDOW_S = 60.0


@dataclass
class Tally:
    """What is done so far for one model, and how fast the last minute went."""

    rows: int
    shards: int
    receipts: dict[str, Receipt]
    workers: int = 1
    images: int = 0
    errors: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque([(time.monotonic(), 0)]))

    def __post_init__(self) -> None:
        for receipt in self.receipts.values():
            self.images += receipt.rows
            self.errors += receipt.errors

    def add(self, receipt: Receipt, lease: Lease) -> Progress:
        """Count a receipt; of a shard that was shared, the row groups were counted before the whole."""
        if not lease.seal:
            self.images += receipt.rows
        if lease.group is None:
            self.receipts[receipt.file] = receipt
            self.errors += receipt.errors
        rate = self._rate(0 if lease.seal else receipt.rows)
        return Progress(len(self.receipts), self.shards, self.images, self.rows, self.errors, rate, self.workers)

    def _rate(self, images: int) -> float:
        now = time.monotonic()
        self._recent.append((now, images))
        while len(self._recent) > 2 and now - self._recent[0][0] > WINDOW_S:
            self._recent.popleft()
        # The first entry marks when the window opens; its own images came before.
        return sum(count for _, count in list(self._recent)[1:]) / max(now - self._recent[0][0], 1e-9)


@dataclass
class Course:
    """One model's way through a job: what is asked, what is missing, what came of it."""

    target: Target
    identity: Mapping[str, Any]
    context: Context
    plan: Plan
    tally: Tally = field(init=False)
    failure: str | None = None

    def __post_init__(self) -> None:
        self.tally = Tally(self.plan.rows, len(self.plan.missing) + len(self.plan.done), dict(self.plan.done))

    def take(self, outcome: Outcome, lease: Lease) -> None:
        """Count what a worker brought, or note once why this model has no answers."""
        if isinstance(outcome, Failure):
            if self.failure is None:
                self.context.log(f"{self.target.output}: {outcome.reason}; the other models go on")
            self.failure = outcome.reason
        elif outcome is not None:
            self.context.progress(self.tally.add(outcome, lease))

    def finish(self) -> None:
        """Say in the output's manifest that it is whole."""
        if self.failure is None:
            commit.finish(self.target.output, self.identity, self.target.model.classes, self.tally.receipts)


def carry_out(courses: Sequence[Course], replica: Replica, job: Predicting) -> None:
    """Answer what each model lacks, all in one pass, and finish their manifests.

    Args:
        job: says how: workers, gpus_per_worker, max_errors, retry_s.

    Raises:
        JobFailed: when more than `max_errors` of all rows are broken; what is committed stays.
    """
    for course in courses:
        commit.sweep(course.target.output)
        _hold(course, job.max_errors)
    plans = [course.plan for course in courses]
    work = max(course.plan.rows_missing * course.target.passes for course in courses)
    count = joining.workers_for(job.workers, work, SMALL)
    todo = Leases(plans, replica.corpus, count, replica.selection == Selection())
    count = min(count, len(todo))
    for course in courses:
        course.tally.workers = max(count, 1)
    replica = replace(replica, alone=count == 0)
    for lease, outcomes in pool.spread(todo, replica.make, count, gpus=job.gpus_per_worker, retry_s=job.retry_s):
        todo.done(lease)
        for course, outcome in zip(courses, outcomes, strict=True):
            course.take(outcome, lease)
            _hold(course, job.max_errors)
    for course in courses:
        course.finish()


def _hold(course: Course, max_errors: float) -> None:
    """Fail as soon as the errors can no longer stay within their share of all rows."""
    tally, output = course.tally, course.target.output
    if tally.errors <= max_errors * tally.rows:
        return
    listed = errors_in(output, tally.receipts)
    raise JobFailed(
        f"{tally.errors} of {tally.rows} images are broken, more than --max-errors {max_errors:g}; the "
        f"{len(tally.receipts)} finished shards stay in {output}",
        [f"{id_}: {error}" for id_, error in zip(listed["id"].to_pylist(), listed["error"].to_pylist(), strict=True)],
    )


def errors_in(output: str, receipts: Mapping[str, Receipt]) -> pa.Table:
    """The first broken images of an output: id and error."""
    found = [pa.table({"id": pa.array([], pa.string()), "error": pa.array([], pa.string())})]
    for file in sorted(file for file, receipt in receipts.items() if receipt.errors):
        filesystem, path = storage.locate(storage.join(output, file))
        with filesystem.open_input_file(path) as stream:
            table = pq.read_table(stream, columns=["id", "error"])
        found.append(table.filter(table["error"].is_valid()))
        if sum(map(len, found)) >= LISTED:
            break
    return pa.concat_tables(found).slice(0, LISTED)
