"""Rows of one split whose person, author, album or recording is also in another, by any columns.

The first pass counts values by split (`vision.leakage`); where something leaks, a second one lists the rows, which can
be joined to the corpus again: `evaluate --join leaked.csv --by same_person` has the metrics of either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.auditing import reporting
from jobs.auditing.checked import MOST_ROWS, Checked
from jobs.auditing.passes import Named, over
from jobs.auditing.source import Columns
from jobs.records import Spread
from jobs.spec import Context
from vision.accumulator import Array
from vision.fairness.coding import coded
from vision.fairness.sentences import shown
from vision.grouping import MISSING
from vision.leakage import Leaked, Values, digests


@dataclass(frozen=True)
class Asked:
    """What is looked at.

    Attributes:
        same: columns of which a value should be in one split only.
        split: the split that is audited; None: all of them.
        split_by: the column that says which split a row is of; None: its source does.
        id: the column of ids, if there is one.
    """

    same: tuple[str, ...]
    split: str | None
    split_by: str | None = None
    id: str | None = "id"

    @property
    def columns(self) -> Columns:
        named = (*self.same, *(name for name in (self.split_by, self.id) if name))
        return Columns(tuple(dict.fromkeys(named)))

    def of_split(self, split: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        """The rows of each split in a table; those of which nobody knows the split are left out."""
        if self.split_by is None:
            yield split, table
            return
        codes, levels = coded(table[self.split_by])
        for place, name in enumerate(levels):
            rows = np.flatnonzero(codes == place)
            if name != MISSING and len(rows):
                yield name, table.take(pa.array(rows))


@dataclass(frozen=True)
class Counting:
    """The values of each split."""

    asked: Asked
    values: Values = field(default_factory=Values)

    def take(self, split: str, table: pa.Table) -> Self:
        values = self.values
        for name, rows in self.asked.of_split(split, table):
            for column in self.asked.same:
                values = values.update(column, name, *coded(rows[column]))
        return replace(self, values=values)

    def merge(self, other: Self) -> Self:
        return replace(self, values=self.values.merge(other.values))


@dataclass(frozen=True, eq=False)
class Marking:
    """The rows that leak, in the order of their ids: at most `MOST_ROWS`, and how many there are.

    Attributes:
        shared: digests of values that leak, by column and split.
        rows: id, split, and `same_<column>` for each column.
    """

    asked: Asked
    shared: Mapping[tuple[str, str], Array]
    rows: pa.Table | None = None
    count: int = 0

    def take(self, split: str, table: pa.Table) -> Self:
        state = self
        for name, rows in self.asked.of_split(split, table):
            if self.asked.split in (None, name):
                state = state.merge(self._marked(name, rows))
        return state

    def _marked(self, split: str, rows: pa.Table) -> Self:
        marks = {f"same_{column}": self._shares(column, split, rows[column]) for column in self.asked.same}
        leaks = np.logical_or.reduce(list(marks.values()))
        ids = rows[self.asked.id or ""].cast(pa.string())
        table = pa.table({"id": ids, "split": [split] * len(rows), **marks}).filter(pa.array(leaks))
        return replace(self, rows=_first(table), count=int(leaks.sum()))

    def _shares(self, column: str, split: str, values: Any) -> Array:
        codes, levels = coded(values)
        known = np.array([level != MISSING for level in levels], bool)
        shared: Array = (known & np.isin(digests(levels), self.shared[column, split]))[codes]
        return shared

    def merge(self, other: Self) -> Self:
        parts = [state.rows for state in (self, other) if state.rows is not None]
        rows = _first(pa.concat_tables(parts)) if parts else None
        return replace(self, rows=rows, count=self.count + other.count)


def find(sources: Sequence[Named], asked: Asked, how: Spread, context: Context) -> Checked:
    """What leaks, as metrics, tables and sentences.

    Raises:
        SpecError: if a column is missing.
        JobFailed: if a shard is missing or damaged.
    """
    values = over(sources, asked.columns, Counting(asked), how.workers, how.retry_s, context).values
    audited = values.splits if asked.split is None else [asked.split]
    found = {column: values.leaked(column, audited) for column in asked.same}
    metrics = {f"leakage.{column}": leaked.share for column, leaked in found.items() if leaked.n}
    rows = [row for column in asked.same for row in _rows(values, column, audited)]
    listed: pa.Table | None = None
    notes = [note for column, leaked in found.items() for note in _sentences(column, leaked, values, asked)]
    if asked.id and any(leaked.rows for leaked in found.values()):
        shared = {(c, s): values.shared(c, s) for c in asked.same for s in audited}
        marked = over(sources, asked.columns, Marking(asked, shared), how.workers, how.retry_s, context)
        listed = marked.rows
        if marked.count > MOST_ROWS:
            notes.append(f"the table lists the first {MOST_ROWS:,} of {marked.count:,} rows that leak")
    return Checked(metrics, {"leakage": reporting.table(rows), "leaked": listed}, tuple(notes))


def _rows(values: Values, column: str, audited: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each audited split and each split that it shares values with, or could."""
    for split in audited:
        for other in values.splits:
            if other == split:
                continue
            one = values.leaked(column, [split], [other])
            yield {
                "column": column, "split": split, "other": other, "rows": one.n, "shared": one.rows,
                **reporting.parts("share", one.share), "values": one.values, "shared_values": one.hits,
                "without_value": one.missing,
            }  # fmt: skip


def _sentences(column: str, found: Leaked, values: Values, asked: Asked) -> Iterator[str]:
    of = f" of {asked.split}" if asked.split else ""
    others = [name for name in values.splits if name != asked.split]
    if not found.n or not others:
        why = f"no row{of} says its {column}" if others else "there is no other split"
        yield f"nothing can be said of leakage by {column}: {why}"
        return
    other = " or ".join(others) if asked.split else "another split"
    yield (
        f"{found.rows:,} of {found.n:,} rows{of} share their {column} with rows of {other}: a share of "
        f"{shown(found.share)}, and {found.hits:,} of {found.values:,} values of {column}"
    )
    if found.missing:
        yield f"{found.missing:,} rows{of} do not say their {column}: nobody knows to whom they are related"


def _first(table: pa.Table) -> pa.Table:
    """The first rows by id and split."""
    order = pc.sort_indices(table, sort_keys=[("id", "ascending"), ("split", "ascending")])
    return table.take(order.slice(0, MOST_ROWS))
