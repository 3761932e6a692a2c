"""The same questions by person: many pictures of one person are no independent rows, and not many persons.

Two answers stand side by side. *By row*, a rate is what it is, and its interval comes from a bootstrap that redraws
persons: each counts as often as a Poisson(1) number hashed from its name says, with all its rows. *By person*, each
person has its own rate and all persons count alike. Shares by person count everybody once in each group.

Reference: Chamandy et al., "Estimating uncertainty for massive data streams", Google 2012.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vision.accumulator import Array, Cell, Counts, Estimate
from vision.fairness.counts import Cube
from vision.fairness.rates import Grouped, Rate, by_group
from vision.intervals import mean_from_sums, poisson_weights, z

DRAWS = 200
_PERSONS = 5_000  # whose weights are in memory at once: 8 MB for each question that is asked of them


@dataclass(frozen=True)
class ByPerson:
    """A rate in one group, by row with an interval that knows of persons, and as the mean over persons."""

    cell: Cell
    persons: int
    by_row: Estimate
    by_person: Estimate


@dataclass(frozen=True, eq=False)
class Redrawn:
    """A rate by group (G), as it is and with persons redrawn.

    Attributes:
        hits, n: (G, 1 + DRAWS) int64; the first column is what was counted.
        persons: (G,) int64, how many have a row in the rate.
        own, squares: (G,) sums over persons of their own rates, and of these squared.
    """

    rate: Rate
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    hits: Array
    n: Array
    persons: Array
    own: Array
    squares: Array

    def groups(self) -> list[ByPerson]:
        """Every group."""
        return [
            ByPerson(cell, int(self.persons[g]), self._estimate(self._shares(g), int(self.n[g, 0]), 0.0), self._mean(g))
            for g, cell in enumerate(self.cells)
        ]

    def difference(self, highest: Cell, lowest: Cell) -> tuple[Estimate, float]:
        """The rate of one group minus that of another: by row with persons redrawn, and between means over persons.

        Persons who are in both groups are drawn for both alike.
        """
        high, low = self.cells.index(highest), self.cells.index(lowest)
        rows = int(self.n[high, 0] + self.n[low, 0])
        by_row = self._estimate(self._shares(high) - self._shares(low), rows, -1.0)
        return by_row, self._mean(high).value - self._mean(low).value

    def _shares(self, g: int) -> Array:
        """(1 + DRAWS,) the rate of a group; a draw without any of its rows is as the whole."""
        hits, n = self.hits[g], self.n[g]
        shares: Array = np.where(n > 0, hits / np.maximum(1, n), hits[0] / max(1, int(n[0])))
        return shares

    def _estimate(self, values: Array, rows: int, lowest: float) -> Estimate:
        value, half = float(values[0]), z() * float(values[1:].std(ddof=1))
        return Estimate(value, max(lowest, value - half), min(1.0, value + half), rows)

    def _mean(self, g: int) -> Estimate:
        count, total = int(self.persons[g]), float(self.own[g])
        limits = mean_from_sums(count, total, float(self.squares[g]))
        low, high = (math.nan if math.isnan(x) else min(1.0, max(0.0, x)) for x in limits)
        return Estimate(total / count, low, high, count)


def once(persons: Cube, columns: Sequence[str]) -> Cube:
    """Persons by group: everybody once in each group that they are in.

    Args:
        persons: counts by (person, ...).
    """
    pairs = persons.over([persons.columns[0], *columns])
    return replace(pairs, counts=Counts(pairs.counts.keys, np.ones_like(pairs.counts.counts))).over(columns)


def conflicts(persons: Cube, column: str) -> list[tuple[str, tuple[str, ...]]]:
    """Who is in several groups of a column, with these groups: labels that contradict each other, or rows that differ.

    Give images as persons, and these are the images with two labels.
    """
    pairs = persons.over([persons.columns[0], column])
    who, groups = pairs.codes()
    several = np.flatnonzero(np.bincount(who, minlength=len(pairs.levels[0])) > 1)
    held: dict[int, list[str]] = {int(person): [] for person in several}
    for place in np.flatnonzero(np.isin(who, several)).tolist():
        held[int(who[place])].append(pairs.levels[1][groups[place]])
    return [(pairs.levels[0][person], tuple(values)) for person, values in held.items()]


def rates(persons: Cube, rate: Rate, columns: Sequence[str], positive: str | None = None) -> list[ByPerson]:
    """A rate in every known group, by row and by person."""
    return redrawn(persons, [(rate, tuple(columns))], positive)[0].groups()


def redrawn(
    persons: Cube, questions: Sequence[tuple[Rate, tuple[str, ...]]], positive: str | None = None
) -> list[Redrawn]:
    """Rates by columns with persons redrawn: the same draws for all; some 10 s for a million persons.

    Args:
        persons: counts by (person, ...).
        questions: a rate, and the columns to take it by.
    """
    names = persons.levels[0]
    place = {name: index for index, name in enumerate(names)}
    pairs = [
        _Pairs.of(by_group(persons, rate, [persons.columns[0], *columns], positive), place)
        for rate, columns in questions
    ]
    sums = [np.zeros((2, len(one.cells), 1 + DRAWS), np.int64) for one in pairs]
    for start in range(0, len(names), _PERSONS):
        part = names[start : start + _PERSONS]
        weights = np.ones((len(part), 1 + DRAWS), np.int64)
        weights[:, 1:] = poisson_weights(np.array(part, object), DRAWS)
        for one, total in zip(pairs, sums, strict=True):
            one.add(total, weights, start)
    return [
        one.summed(rate, columns, total) for one, total, (rate, columns) in zip(pairs, sums, questions, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Who is in which group, sorted by person: hits and rows of each pair (P,)."""

    cells: tuple[Cell, ...]
    who: Array
    group: Array
    hits: Array
    n: Array

    @classmethod
    def of(cls, found: Grouped, place: dict[str, int]) -> _Pairs:
        kept = np.flatnonzero(found.n)
        who = np.array([place[found.cells[index][0][1]] for index in kept.tolist()], np.int64)
        owners = [found.cells[index][1:] for index in kept.tolist()]
        cells = sorted(set(owners))
        number = {cell: index for index, cell in enumerate(cells)}
        group = np.array([number[cell] for cell in owners], np.int64)
        return cls(tuple(cells), who, group, found.hits[kept], found.n[kept])

    def add(self, total: Array, weights: Array, start: int) -> None:
        """Add the pairs of the persons `start`... to (2, G, 1 + DRAWS) sums."""
        low, high = np.searchsorted(self.who, [start, start + len(weights)])
        if low == high:
            return
        order = np.argsort(self.group[low:high], kind="stable") + low
        groups = self.group[order]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        drawn = weights[self.who[order] - start]  # (pairs, 1 + DRAWS)
        for side, amounts in enumerate((self.hits, self.n)):
            total[side, groups[starts]] += np.add.reduceat(drawn * amounts[order, None], starts, axis=0)

    def summed(self, rate: Rate, columns: tuple[str, ...], total: Array) -> Redrawn:
        own, size = self.hits / self.n, len(self.cells)
        sums = [np.bincount(self.group, values, size) for values in (own, own * own)]
        counts = np.bincount(self.group, minlength=size)
        return Redrawn(rate, columns, self.cells, total[0], total[1], counts, sums[0], sums[1])
