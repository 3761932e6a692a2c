"""Gates of kind drift: one model on two sets of images, so nothing is paired.

With labels, a metric's change is judged as a whole, as change of mix and as change within groups, and for each group
that was asked for; the groups are those of `by` together, or the true labels where none were asked for. Without labels
it is the answers' own shift that is judged (vision/shift.py). The two parts stand beside the whole's estimates of both
sets: their differences add up to the whole's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.answers import Answers
from jobs.cause import cause
from jobs.findings import CHANGE, Question
from jobs.pairing import Part, kind_of
from jobs.spec import SpecError
from vision import shift
from vision.accumulator import Batch, Cell
from vision.contribution import PerImage
from vision.drift import Change, Grouped, decompose, whole_change
from vision.grouping import rows_by_values
from vision.moments import Moments

if TYPE_CHECKING:
    from jobs.gates import Gate


def questions(gate: Gate, baseline: Answers, candidates: Mapping[str, Answers], room: Any) -> list[Question]:
    """What a drift gate asks of each candidate.

    Raises:
        SpecError: if the metric is no mean over images and no shift, or a set has no image that counts.
    """
    if gate.metric in shift.METRICS:
        return _shifts(gate, baseline, candidates)
    kind = kind_of(room, gate.metric)
    if not isinstance(kind, PerImage):
        raise SpecError(f"drift of {gate.metric} cannot be told apart: it is no mean over images")
    before = _grouped(gate, kind, baseline)
    asked: list[Question] = []
    for name, answers in candidates.items():
        after, why = _grouped(gate, kind, answers), cause(baseline, answers, paired=False)
        upwards = room.higher_is_better(gate.metric)
        for group, change in _changes(gate, before, after):
            images = min(change.before.n, change.after.n)
            asked.append(Question(name, gate, group, change, upwards, why, images))
    return asked


def _changes(gate: Gate, before: Grouped, after: Grouped) -> Iterator[tuple[dict[str, str], Change]]:
    """The whole change, its two parts, and each group's own."""
    yield {}, whole_change(before.whole(), after.whole(), before.rate)
    for part, change in decompose(before, after).items():
        yield {CHANGE: part}, change
    for size in range(1, gate.order + 1):
        for columns in combinations(gate.by, size):
            first, second = _margins(before, columns), _margins(after, columns)
            for cell in sorted(first.keys() & second.keys()):
                yield dict(cell), whole_change(first[cell], second[cell], before.rate)


def _margins(side: Grouped, columns: tuple[str, ...]) -> dict[Cell, Moments]:
    """The groups of some of the columns, summed over the others."""
    sums: dict[Cell, Moments] = {}
    for cell, moments in side.cells.items():
        short = tuple(pair for pair in cell if pair[0] in columns)
        sums[short] = sums.get(short, Moments()).merge(moments)
    return sums


def _grouped(gate: Gate, kind: PerImage, answers: Answers) -> Grouped:
    by = gate.by or ("label",)
    state = Grouped(by, kind.rate)
    for table in answers.tables():
        part = Part.of([table])
        values, _ = part.contributions(gate.metric, kind)
        batch = {**part.columns_of(by), "value": values}
        kept = np.isfinite(values)
        state = state.update({name: column[kept] for name, column in batch.items()})
    if not state.whole().n:
        raise SpecError(f"{answers.output} has no image with a truth and an answer: use {', '.join(shift.METRICS)}")
    return state


def _shifts(gate: Gate, baseline: Answers, candidates: Mapping[str, Answers]) -> list[Question]:
    before = _counted(gate, baseline, after=False)
    asked = []
    for name, answers in candidates.items():
        after, why = _counted(gate, answers, after=True), cause(baseline, answers, paired=False)
        for cell in sorted(before.keys() & after.keys()):
            state = before[cell].merge(after[cell])
            asked.append(Question(name, gate, dict(cell), state, False, why, min(state.sizes)))
        if not min(before[()].merge(after[()]).sizes):
            raise SpecError(f"{answers.output} or {baseline.output} has no answer to take {gate.metric} of")
    return asked


def _counted(gate: Gate, answers: Answers, *, after: bool) -> dict[Cell, shift.Shift]:
    """One set's answers, all and by group."""
    zero = shift.Shift(gate.metric)
    states: dict[Cell, shift.Shift] = {(): zero}
    for table in answers.tables():
        part = Part.of([table])
        batch: Batch = dict(part.columns_of((shift.METRICS[gate.metric], *gate.by)))
        batch = {**batch, "after": np.full(len(table), after)}
        states[()] = states[()].update(batch)
        for size in range(1, gate.order + 1):
            for columns in combinations(gate.by, size):
                for cell, rows in rows_by_values(batch, columns):
                    chosen = {name: values[rows] for name, values in batch.items()}
                    states[cell] = states.get(cell, zero).update(chosen)
    return states
