"""Rows counted, part by part, by workers that send back counts and never rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.auditing.source import Columns, Source
from jobs.engine import joining, pool
from jobs.spec import Context, JobFailed, Progress, SpecError
from jobs.tables import counts
from vision.accumulator import Array
from vision.fairness.coding import coded
from vision.fairness.rates import PREDICTION, TRUTH
from vision.fairness.tally import Tally
from vision.summing import Summing

SMALL = 400_000_000
"""Rows that one process counts sooner than Ray starts: 50 million a second on one core, and Ray takes some 7 s."""

TASKS_A_WORKER = 8


@dataclass(frozen=True)
class Counter:
    """Counts runs of parts."""

    source: Source
    columns: Columns
    zero: Tally

    def make(self) -> Counter:
        """The worker, where it lives."""
        return self

    def __call__(self, parts: tuple[str, ...]) -> Tally:
        """The counts of some parts.

        Raises:
            SpecError: if a column is missing, holds too many values or no numbers.
            JobFailed: if a shard is missing or damaged.
        """
        tallies = Summing[Tally]()
        try:
            for part in parts:
                for table in self.source.tables(part, self.columns):
                    tallies.add(self._counted(table))
            return tallies.total(self.zero)
        except pa.ArrowInvalid as error:
            raise JobFailed(f"{', '.join(parts)} cannot be read: {str(error).splitlines()[0]}") from None
        except (SpecError, JobFailed):
            raise
        except ValueError as error:
            raise SpecError(str(error)) from None

    def _counted(self, table: pa.Table) -> Tally:
        if not len(table):
            return self.zero
        named = self.columns
        roles = {TRUTH: named.truth, PREDICTION: named.prediction}
        outcomes = {role: coded(table[name]) for role, name in roles.items() if name}
        return self.zero.update(
            {**{name: coded(table[name]) for name in (*named.by, *named.also)}, **outcomes},
            None if named.count is None else counts(table, named.count, "rows"),
            None if named.score is None else _scores(table, named.score),
            None if named.person is None else coded(table[named.person]),
        )


def count(
    source: Source, columns: Columns, zero: Tally, workers: int | None, retry_s: float, context: Context
) -> Tally:
    """All rows, counted once.

    Args:
        workers: processes; 0: this one; None: by the work.

    Raises:
        SpecError, JobFailed: as the workers do.
    """
    workers = min(joining.workers_for(workers, source.rows, SMALL), len(source.parts))
    step = max(1, len(source.parts) // (TASKS_A_WORKER * max(1, workers)))
    runs = [source.parts[start : start + step] for start in range(0, len(source.parts), step)]
    tallies, rows, done, start = Summing[Tally](), 0, 0, time.monotonic()
    try:
        for run, found in pool.spread(runs, Counter(source, columns, zero).make, workers, retry_s=retry_s):
            tallies.add(found)
            rows, done = rows + (0 if found.cube is None else found.cube.total()), done + len(run)
            rate = rows / max(time.monotonic() - start, 1e-9)
            context.progress(Progress(done, len(source.parts), rows, source.rows or rows, 0, rate, max(1, workers)))
        return tallies.total(zero)
    except (SpecError, JobFailed):
        raise
    except ValueError as error:  # groups that are few in each shard and too many in all
        raise SpecError(str(error)) from None


def _scores(table: pa.Table, name: str) -> Array:
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise SpecError(f"columns: {name} holds {column.type} and not scores")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
