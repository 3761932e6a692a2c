"""Rates of an audit, each with its formula, from counts by (group, truth, prediction).

A name such as "1 - PPV" has been used for recall in print, so every rate carries what it is a share of. y is the truth,
yhat the answer, + the outcome that is called positive. A row without an answer (no face was found, the picture was
broken) is an outcome like any other: it is below the line of every rate but `top1`, which by its name is the share of
right answers among answers, and `ppv`.

Reference: Buolamwini & Gebru, "Gender Shades", FAT* 2018, for what is at stake; Hardt, Price & Srebro, "Equality of
opportunity in supervised learning", NeurIPS 2016.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array, Cell
from vision.fairness.counts import Cube
from vision.grouping import MISSING

TRUTH, PREDICTION = "truth", "prediction"


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What happened in each cell (C,) of a cube, as truth values."""

    known: Array
    answered: Array
    right: Array
    positive: Array
    selected: Array

    @classmethod
    def of(cls, cube: Cube, positive: str | None) -> Outcomes:
        """Of a cube with `truth`, `prediction` or both; without one, nothing is known or answered.

        Raises:
            ValueError: if `positive` is no class that occurs.
        """
        truth, prediction = (_texts(cube, name) for name in (TRUTH, PREDICTION))
        if positive is not None and positive not in set(truth.tolist()) | set(prediction.tolist()):
            seen = sorted({*truth.tolist(), *prediction.tolist()} - {MISSING})
            raise ValueError(f"positive: no class {positive!r} occurs, only {', '.join(seen[:10])}")
        known, answered = truth != MISSING, prediction != MISSING
        right = known & answered & (truth == prediction)
        return cls(known, answered, right, known & (truth == positive), answered & (prediction == positive))


@dataclass(frozen=True)
class Rate:
    """A share of rows: `hits` of those in `of`.

    Attributes:
        formula: what it is, in symbols.
        higher_is_better: None where neither end is the better one.
    """

    name: str
    formula: str
    higher_is_better: bool | None
    hits: Callable[[Outcomes], Array]
    of: Callable[[Outcomes], Array]
    needs: tuple[str, ...] = (TRUTH, PREDICTION)
    binary: bool = False


RATES = {
    rate.name: rate
    for rate in (
        Rate("top1", "P(yhat = y | answered)", True, lambda o: o.right, lambda o: o.known & o.answered),
        Rate("top1_all", "P(yhat = y), no answer is wrong", True, lambda o: o.right, lambda o: o.known),
        Rate("answered", "P(answered)", True, lambda o: o.answered, lambda o: o.known | True, (PREDICTION,)),
        Rate("selected", "P(yhat = +)", None, lambda o: o.selected, lambda o: o.known | True, (PREDICTION,), True),
        Rate("tpr", "P(yhat = + | y = +)", True, lambda o: o.positive & o.selected, lambda o: o.positive, binary=True),
        Rate(
            "fpr", "P(yhat = + | y is not +)", False, lambda o: o.selected & o.known & ~o.positive,
            lambda o: o.known & ~o.positive, binary=True,
        ),
        Rate(
            "ppv", "P(y = + | yhat = +)", True, lambda o: o.positive & o.selected, lambda o: o.selected & o.known,
            binary=True,
        ),
        Rate("base_rate", "P(y = +)", None, lambda o: o.positive, lambda o: o.known, (TRUTH,), True),
    )
}  # fmt: skip
"""Every rate by its name."""


@dataclass(frozen=True, eq=False)
class Grouped:
    """One rate by group: `hits` of `n` (G,) int64 in each of `cells`; groups that are not known are left out."""

    rate: Rate
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    hits: Array
    n: Array


def available(cube: Cube, positive: str | None) -> list[Rate]:
    """The rates that a cube determines; those of one class need to know which is positive."""
    return [
        rate
        for rate in RATES.values()
        if all(name in cube.columns for name in rate.needs) and (positive is not None or not rate.binary)
    ]


def by_group(cube: Cube, rate: Rate, columns: Sequence[str], positive: str | None = None) -> Grouped:
    """A rate in every combination of values of `columns` that occurs, in sorted order."""
    outcome = [name for name in (TRUTH, PREDICTION) if name in cube.columns and name not in columns]
    part = cube.over([*columns, *outcome])
    # A column may be the truth itself: whom a model takes for the other.
    outcomes = Outcomes.of(part, positive)
    groups, owner = _groups(part, columns)
    counts = part.counts.counts
    hits, n = (
        _sums(owner, np.where(mask, counts, 0), len(groups)) for mask in (rate.hits(outcomes), rate.of(outcomes))
    )
    kept = [g for g, cell in enumerate(groups) if all(value != MISSING for _, value in cell)]
    return Grouped(rate, tuple(columns), tuple(groups[g] for g in kept), hits[kept], n[kept])


def overall(cube: Cube, rate: Rate, positive: str | None = None) -> tuple[int, int]:
    """Hits and rows of a rate over everything, unknown groups as well."""
    outcomes, counts = Outcomes.of(cube, positive), cube.counts.counts
    return int(counts[rate.hits(outcomes)].sum()), int(counts[rate.of(outcomes)].sum())


def _groups(part: Cube, columns: Sequence[str]) -> tuple[list[Cell], Array]:
    """The groups that occur, sorted, and which of them each cell belongs to."""
    codes = part.codes()[: len(columns)]
    shape = [max(1, len(known)) for known in part.levels[: len(columns)]]
    keys = np.ravel_multi_index(tuple(codes), shape) if len(columns) else np.zeros(part.counts.keys.shape, np.int64)
    found, owner = np.unique(keys, return_inverse=True)
    values = np.unravel_index(found, shape) if len(columns) else []
    texts = [[part.levels[p][v] for v in column.tolist()] for p, column in enumerate(values)]
    cells: list[Cell] = [tuple(zip(columns, row, strict=True)) for row in zip(*texts, strict=True)]
    return cells if len(columns) else [()], owner


def _sums(owner: Array, counts: Array, size: int) -> Array:
    sums = np.zeros(size, np.int64)
    np.add.at(sums, owner, counts)
    return sums


def _texts(cube: Cube, column: str) -> Array:
    """(C,) the value of a column in each cell."""
    if column not in cube.columns:
        return np.full(len(cube.counts.keys), MISSING, object)
    place = cube.place(column)
    values: Array = np.array([*cube.levels[place], None], object)[cube.codes()[place]]
    return values
