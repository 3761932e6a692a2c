"""A stream of new records carried out: cut into shards, written by workers, counted."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import pyarrow as pa

from jobs.engine import joining, pool
from jobs.intake.cut import Cutter, Plan
from jobs.intake.write import WRITER_VERSION, Receipt, Writer
from jobs.spec import Context, Progress

SMALL_ROWS = 50_000
SMALL_BYTES = 4 * 2**30
"""Records and bytes that one process writes in about the time that Ray and its workers take to start."""


def salt(writer: Writer) -> str:
    """What decides the bytes of a shard besides its records."""
    facts = {
        "version": WRITER_VERSION,
        "source": writer.source,
        "layout": writer.layout,
        "options": asdict(writer.options),
        "schema": str(writer.schema),
        "keep": writer.keep,
    }
    return json.dumps(facts, sort_keys=True)


@dataclass
class Drive:
    """Plans on their way to becoming shards; a driver holds plans that wait for a worker, and receipts."""

    writer: Writer
    cutter: Cutter
    context: Context
    workers: int | None
    planned: int = 0
    planned_rows: int = 0

    def run(self, tables: Iterable[pa.Table]) -> list[Receipt]:
        """Write the shards of a stream of entries; the receipts by the names of their files.

        Raises:
            JobFailed: if a shard cannot be made; those that are done stay for the next attempt.
        """
        plans, workers = self._crew(self._counted(self.cutter.run(tables)))
        receipts: list[Receipt] = []
        start, rows, made = time.monotonic(), 0, 0
        for _, receipt in pool.spread(plans, partial(_same, self.writer), workers):
            receipts.append(receipt)
            rows += receipt.rows
            made += 0 if receipt.found else receipt.rows
            rate = made / max(time.monotonic() - start, 1e-6)
            self.context.progress(Progress(len(receipts), self.planned, rows, self.planned_rows, 0, rate))
        return sorted(receipts, key=lambda receipt: receipt.file)

    def _counted(self, plans: Iterator[Plan]) -> Iterator[Plan]:
        for plan in plans:
            self.planned += 1
            self.planned_rows += plan.rows
            yield plan

    def _crew(self, plans: Iterator[Plan]) -> tuple[Iterator[Plan], int]:
        """The plans, and how many workers to start: as asked; else none for little work, one a CPU for more."""
        if self.workers is not None:
            return plans, self.workers
        first, rows, size = list[Plan](), 0, 0
        for plan in plans:
            first.append(plan)
            rows, size = rows + plan.rows, size + plan.bytes
            if rows > SMALL_ROWS or size > SMALL_BYTES:
                ray = joining.start_ray(0)
                return itertools.chain(first, plans), max(1, int(ray.cluster_resources().get("CPU", 1)))
        return iter(first), 0


def _same(writer: Writer) -> Writer:
    return writer
