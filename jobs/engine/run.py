"""A plan carried out: leases spread over replicas, receipts counted, errors held against their limit."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.engine import commit, pool
from jobs.engine.commit import Receipt
from jobs.engine.plan import Plan
from jobs.engine.replica import Replica
from jobs.spec import Context, JobFailed, Progress

SMALL = 512
"""Images that one process answers sooner than Ray starts: about 10 s of a small net on one core."""

LISTED = 1000
"""Broken images that are listed; all of them are rows of the output."""

WINDOW_S = 60.0


@dataclass
class Tally:
    """What is done so far, and how fast the last minute went."""

    rows: int
    shards: int
    receipts: dict[str, Receipt]
    images: int = 0
    errors: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=lambda: deque([(time.monotonic(), 0)]))

    def __post_init__(self) -> None:
        for receipt in self.receipts.values():
            self.images += receipt.rows
            self.errors += receipt.errors

    def add(self, receipt: Receipt) -> Progress:
        self.receipts[receipt.file] = receipt
        self.images += receipt.rows
        self.errors += receipt.errors
        return Progress(len(self.receipts), self.shards, self.images, self.rows, self.errors, self._rate(receipt.rows))

    def _rate(self, images: int) -> float:
        now = time.monotonic()
        self._recent.append((now, images))
        while len(self._recent) > 2 and now - self._recent[0][0] > WINDOW_S:
            self._recent.popleft()
        # The first entry marks when the window opens; its own images came before.
        return sum(count for _, count in list(self._recent)[1:]) / max(now - self._recent[0][0], 1e-9)


def workers_for(asked: int | None, rows: int) -> int:
    """How many actors to start: as asked; else none for little work, and one for each CPU for more."""
    if asked is not None:
        return asked
    if rows <= SMALL:
        return 0
    ray = pool.start_ray(0)
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def carry_out(
    plan: Plan,
    replica: Replica,
    identity: Mapping[str, Any],
    context: Context,
    workers: int | None = None,
    gpus: float = 0.0,
    max_errors: float = 1.0,
) -> Tally:
    """Answer what a plan lacks and finish the output's manifest.

    Raises:
        JobFailed: when more than `max_errors` of all rows are broken; what is committed stays.
    """
    tally = Tally(plan.rows, len(plan.leases) + len(plan.done), dict(plan.done))
    _hold(tally, max_errors, replica.output)
    count = min(workers_for(workers, plan.rows_missing), len(plan.leases))
    for _, receipt in pool.spread(plan.leases, replica.make, count, gpus=gpus):
        context.progress(tally.add(receipt))
        _hold(tally, max_errors, replica.output)
    commit.finish(replica.output, identity, replica.model.classes, tally.receipts)
    return tally


def _hold(tally: Tally, max_errors: float, output: str) -> None:
    """Fail as soon as the errors can no longer stay within their share of all rows."""
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
