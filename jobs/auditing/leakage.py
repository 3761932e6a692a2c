"""Rows of one split with relatives in another: of one person, author, album or recording, by any columns; of one place.

The first pass counts values (`vision.leakage`) and spots (`vision.vicinity`) by split; where something leaks, a second
one lists the rows, which can be joined to the corpus again: `evaluate --join leaked.csv --by same_person` has the
metrics of either.
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
from jobs.auditing.relations import Relation, Same, Vicinity
from jobs.auditing.source import Columns
from jobs.records import Spread
from jobs.spec import Context
from vision.accumulator import Array, united
from vision.fairness.coding import coded
from vision.fairness.sentences import shown
from vision.grouping import MISSING
from vision.leakage import Leaked, Values, digests
from vision.vicinity import Spots, near_times


@dataclass(frozen=True)
class Asked:
    """What is looked at.

    Attributes:
        relations: what should not be between rows of two splits.
        split: the split that is audited; None: all of them.
        split_by: the column that says which split a row is of; None: its source does.
        id: the column of ids, if there is one.
    """

    relations: tuple[Relation, ...]
    split: str | None
    split_by: str | None = None
    id: str | None = "id"

    @property
    def columns(self) -> Columns:
        related = (name for relation in self.relations for name in relation.columns)
        return Columns(tuple(dict.fromkeys([*related, *(name for name in (self.split_by, self.id) if name)])))

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
    """The values of each split, and its spots by each way to be near."""

    asked: Asked
    values: Values = field(default_factory=Values)
    spots: Mapping[Vicinity, Spots] = field(default_factory=dict)

    def take(self, split: str, table: pa.Table) -> Self:
        values, spots = self.values, dict(self.spots)
        for name, rows in self.asked.of_split(split, table):
            for one in self.asked.relations:
                if isinstance(one, Same):
                    values = values.update(one.column, name, *coded(rows[one.column]))
                else:
                    spots[one] = spots.get(one, Spots()).update(name, *one.spots(rows))
        return replace(self, values=values, spots=spots)

    def merge(self, other: Self) -> Self:
        return replace(self, values=self.values.merge(other.values), spots=united(self.spots, other.spots))

    @property
    def splits(self) -> list[str]:
        return sorted({*self.values.splits, *(name for spots in self.spots.values() for name in spots.counts)})

    def leaked(self, one: Relation, splits: Sequence[str], others: Sequence[str] | None = None) -> Leaked:
        """The rows of some splits with such a relative in another split; in any by default."""
        if isinstance(one, Same):
            return self.values.leaked(one.column, splits, others)
        return self.spots.get(one, Spots()).leaked(splits, one, others)

    def shared(self, one: Relation, split: str) -> Array:
        """The values, or spots, of a split that leak."""
        if isinstance(one, Same):
            return self.values.shared(one.column, split)
        return self.spots.get(one, Spots()).shared(split, one)


@dataclass(frozen=True, eq=False)
class Marking:
    """The rows that leak, in the order of their ids: at most `MOST_ROWS`, and how many there are.

    Attributes:
        shared: digests of values, or spots, that leak, by relation and split.
        rows: id, split, and `same_<column>`, `same_place` or the like for each relation.
    """

    asked: Asked
    shared: Mapping[tuple[Relation, str], Array]
    rows: pa.Table | None = None
    count: int = 0

    def take(self, split: str, table: pa.Table) -> Self:
        state = self
        for name, rows in self.asked.of_split(split, table):
            if self.asked.split in (None, name):
                state = state.merge(self._marked(name, rows))
        return state

    def _marked(self, split: str, rows: pa.Table) -> Self:
        marks = {f"same_{one.name}": self._shares(one, split, rows) for one in self.asked.relations}
        leaks = np.logical_or.reduce(list(marks.values()))
        ids = rows[self.asked.id or ""].cast(pa.string())
        table = pa.table({"id": ids, "split": [split] * len(rows), **marks}).filter(pa.array(leaks))
        return replace(self, rows=_first(table), count=int(leaks.sum()))

    def _shares(self, one: Relation, split: str, rows: pa.Table) -> Array:
        leaking = self.shared[one, split]
        if not isinstance(one, Same):
            spots, known = one.spots(rows)
            return known & near_times(leaking, spots, 0)
        codes, levels = coded(rows[one.column])
        named = np.array([level != MISSING for level in levels], bool)
        shared: Array = (named & np.isin(digests(levels), leaking))[codes]
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
    counted = over(sources, asked.columns, Counting(asked), how.workers, how.retry_s, context)
    audited = counted.splits if asked.split is None else [asked.split]
    found = {one: counted.leaked(one, audited) for one in asked.relations}
    metrics = {f"leakage.{one.name}": leaked.share for one, leaked in found.items() if leaked.n}
    rows = [row for one in asked.relations for row in _rows(counted, one, audited)]
    listed: pa.Table | None = None
    notes = [note for one, leaked in found.items() for note in _sentences(one, leaked, counted.splits, asked)]
    if asked.id and any(leaked.rows for leaked in found.values()):
        shared = {(one, split): counted.shared(one, split) for one in asked.relations for split in audited}
        marked = over(sources, asked.columns, Marking(asked, shared), how.workers, how.retry_s, context)
        listed = marked.rows
        if marked.count > MOST_ROWS:
            notes.append(f"the table lists the first {MOST_ROWS:,} of {marked.count:,} rows that leak")
    return Checked(metrics, {"leakage": reporting.table(rows), "leaked": listed}, tuple(notes))


def _rows(counted: Counting, relation: Relation, audited: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row for each audited split and each split that it has relatives in, or could."""
    for split in audited:
        for other in counted.splits:
            if other == split:
                continue
            one = counted.leaked(relation, [split], [other])
            yield {
                "column": relation.name, "split": split, "other": other, "rows": one.n, "shared": one.rows,
                **reporting.parts("share", one.share), "values": one.values, "shared_values": one.hits,
                "without_value": one.missing,
            }  # fmt: skip


def _sentences(one: Relation, found: Leaked, splits: Sequence[str], asked: Asked) -> Iterator[str]:
    of = f" of {asked.split}" if asked.split else ""
    others = [name for name in splits if name != asked.split]
    if not found.n or not others:
        why = f"no row{of} says {one.lacks('its')}" if others else "there is no other split"
        yield f"nothing can be said of leakage by {one.name}: {why}"
        return
    other = " or ".join(others) if asked.split else "another split"
    yield (
        f"{found.rows:,} of {found.n:,} rows{of} {one.said(other)}: a share of "
        f"{shown(found.share)}, and {found.hits:,} of {found.values:,} {one.things}"
    )
    if found.missing:
        yield f"{found.missing:,} rows{of} do not say {one.lacks('their')}: nobody knows to whom they are related"


def _first(table: pa.Table) -> pa.Table:
    """The first rows by id and split."""
    order = pc.sort_indices(table, sort_keys=[("id", "ascending"), ("split", "ascending")])
    return table.take(order.slice(0, MOST_ROWS))
