"""Rows counted, part by part, by workers that send back counts and never rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pyarrow as pa

from jobs.auditing import passes
from jobs.auditing.source import Columns, Source
from jobs.spec import Context, SpecError
from jobs.tables import counts
from vision.accumulator import Array
from vision.fairness.coding import coded
from vision.fairness.rates import PREDICTION, TRUTH
from vision.fairness.tally import Tally

SMALL = 400_000_000
"""Rows that one process counts sooner than Ray starts: 50 million a second on one core, and Ray takes some 7 s."""


@dataclass(frozen=True)
class Counting:
    """What was counted of rows with these columns."""

    columns: Columns
    tally: Tally

    def take(self, split: str, table: pa.Table) -> Self:
        """With the rows of a table.

        Raises:
            SpecError: if a column is missing, holds too many values or no numbers.
        """
        if not len(table):
            return self
        named = self.columns
        roles = {TRUTH: named.truth, PREDICTION: named.prediction}
        outcomes = {role: coded(table[name]) for role, name in roles.items() if name}
        tally = self.tally.update(
            {**{name: coded(table[name]) for name in (*named.by, *named.also)}, **outcomes},
            None if named.count is None else counts(table, named.count, "rows"),
            None if named.score is None else _scores(table, named.score),
            None if named.person is None else coded(table[named.person]),
        )
        return replace(self, tally=tally)

    def merge(self, other: Self) -> Self:
        return replace(self, tally=self.tally.merge(other.tally))


def count(
    source: Source, columns: Columns, zero: Tally, workers: int | None, retry_s: float, context: Context
) -> Tally:
    """All rows, counted once.

    Args:
        workers: processes; 0: this one; None: by the work.

    Raises:
        SpecError, JobFailed: as the workers do; groups may be few in each shard and too many in all.
    """
    return passes.over([("", source)], columns, Counting(columns, zero), workers, retry_s, context, SMALL).tally


def _scores(table: pa.Table, name: str) -> Array:
    column = table[name]
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type)):
        raise SpecError(f"columns: {name} holds {column.type} and not scores")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
