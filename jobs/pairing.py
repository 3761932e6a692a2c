"""Answers of several candidates beside those of one baseline, image by image, each column read once.

Ids meet shard by shard where two sets answer the same corpus, so memory does not grow with it; otherwise all ids
and values of one set are held (some 100 bytes an image).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.answers import Answers, batch_of
from jobs.reading import PREDICTED
from jobs.spec import SpecError, nearest
from vision.accumulator import Accumulator, Array, Batch
from vision.comparison import Paired, PairedMean
from vision.contribution import PerCell, PerImage
from vision.redrawn import PairedRedrawn, draws

State = Paired | PairedMean | PairedRedrawn
Kind = PerImage | PerCell


def kind_of(room: Any, metric: str) -> Kind:
    """How a room's metric is compared on the same images.

    Raises:
        SpecError: if it is not known.
    """
    cells: PerCell | None = room.per_cell(metric)
    if cells is not None:
        return cells
    try:
        image: PerImage = room.per_image(metric)
    except ValueError as error:
        raise SpecError(str(error)) from None
    return image


def zero(kind: Kind) -> State:
    """The state that compares a metric of this kind."""
    if isinstance(kind, PerCell):
        return PairedRedrawn(kind)
    return Paired() if kind.rate else PairedMean()


@dataclass(frozen=True)
class Part:
    """Rows of one set of answers; columns become arrays when they are first asked for."""

    table: pa.Table
    columns: dict[str, Array] = field(default_factory=dict)
    values: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Sequence[pa.Table]) -> Part:
        return cls(pa.concat_tables(tables, promote_options="default"))

    def none(self) -> Part:
        """No row of the same columns."""
        return Part(self.table.slice(0, 0))

    @cached_property
    def ids(self) -> pa.Array:
        return self.table["id"].cast(pa.string()).combine_chunks()

    @cached_property
    def draws(self) -> Array:
        return draws(self.columns_of(("id",))["id"])

    def columns_of(self, names: Sequence[str]) -> Batch:
        """The columns of these names, and `count`.

        Raises:
            SpecError: if there is no such column.
        """
        for name in names:
            if name not in self.table.column_names:
                known = [n for n in self.table.column_names if not n.startswith(PREDICTED)]
                what = name.removeprefix(PREDICTED)
                raise SpecError(f"the answers have no column {what!r}{nearest(what, known)}")
        wanted = [n for n in (*names, "count") if n in self.table.column_names and n not in self.columns]
        if wanted or "count" not in self.columns:
            self.columns.update(batch_of(self.table.select(wanted or ["id"])))
        return {name: self.columns[name] for name in (*names, "count")}

    def contributions(self, metric: str, kind: Kind) -> tuple[Array, Array]:
        """(N,) what each image contributes, nan where it does not count, and its amount where cells have one."""
        if metric not in self.values:
            batch = self.columns_of(kind.needs)
            if isinstance(kind, PerImage):
                self.values[metric] = np.asarray(kind.value(batch), np.float64), np.empty(0)
            else:
                cells = kind.cell(batch)
                amounts = np.zeros(len(cells)) if kind.amount is None else kind.amount(batch)
                self.values[metric] = cells, amounts
        return self.values[metric]


class Meeting(NamedTuple):
    """A baseline's and a candidate's rows that hold the same ids, and which rows those are."""

    baseline: Part
    candidate: Part
    ours: Array
    theirs: Array


def meetings(baseline: Answers, candidates: Mapping[str, Answers]) -> Iterator[tuple[str, Meeting]]:
    """Every candidate's answers beside the baseline's, piece by piece."""
    near = {name: answers for name, answers in candidates.items() if _one_corpus(baseline, answers)}
    for file in sorted({f for answers in (baseline, *near.values()) for f in answers.shards}) if near else ():
        ours = [baseline.piece(file)] if file in baseline.shards else []
        part = Part.of(ours) if ours else None
        for name, answers in near.items():
            theirs = [answers.piece(file)] if file in answers.shards else []
            yield from _meet(name, part, Part.of(theirs) if theirs else None)
    far = {name: answers for name, answers in candidates.items() if name not in near}
    whole = list(baseline.tables()) if far else []
    for name, answers in far.items():
        theirs = list(answers.tables())
        yield from _meet(name, Part.of(whole) if whole else None, Part.of(theirs) if theirs else None)


def _one_corpus(baseline: Answers, candidate: Answers) -> bool:
    ours, theirs = baseline.reading, candidate.reading
    return ours is not None and theirs is not None and (ours.url, ours.split) == (theirs.url, theirs.split)


def _meet(name: str, ours: Part | None, theirs: Part | None) -> Iterator[tuple[str, Meeting]]:
    """The two beside each other; where one has no such shard, no row of the other is met."""
    first, second = ours or theirs, theirs or ours
    if first is not None and second is not None:
        first, second = (first if ours else first.none()), (second if theirs else second.none())
        yield name, Meeting(first, second, *_rows(first, second))


def _rows(ours: Part, theirs: Part) -> tuple[Array, Array]:
    if ours.ids.equals(theirs.ids):
        rows = np.arange(len(ours.ids))
        return rows, rows
    places = pc.index_in(ours.ids, value_set=theirs.ids)
    met = np.flatnonzero(np.asarray(places.is_valid().to_numpy(zero_copy_only=False), bool))
    return met, np.asarray(places.drop_null().to_numpy(), np.int64)


def side_by_side(meeting: Meeting, metric: str, kind: Kind) -> tuple[Batch, Array]:
    """The columns that `zero(kind)` takes, over the images both answered, and their rows in the baseline's part."""
    ours, our_amounts = meeting.baseline.contributions(metric, kind)
    theirs, their_amounts = meeting.candidate.contributions(metric, kind)
    ours, theirs = ours[meeting.ours], theirs[meeting.theirs]
    both = (ours >= 0) & (theirs >= 0) if isinstance(kind, PerCell) else np.isfinite(ours) & np.isfinite(theirs)
    rows, other_rows, ours, theirs = meeting.ours[both], meeting.theirs[both], ours[both], theirs[both]
    batch = {"count": meeting.baseline.columns_of(())["count"][rows]}
    if isinstance(kind, PerCell):
        batch |= {"baseline_cell": ours, "candidate_cell": theirs, "draws": meeting.baseline.draws[rows]}
        batch |= {"baseline_amount": our_amounts[rows], "candidate_amount": their_amounts[other_rows]}
    elif kind.rate:
        batch |= {"baseline_right": ours > 0.5, "candidate_right": theirs > 0.5}
    else:
        batch |= {"baseline_value": ours, "candidate_value": theirs}
    return batch, rows


def update(state: Accumulator, batch: Batch, rows: Array) -> Any:
    """`state` with these rows of `batch` added."""
    return state.update({name: values[rows] for name, values in batch.items()})
