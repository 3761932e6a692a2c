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
_PERSONS = 20_000  # whose weights are in memory at once: 4 MB


@dataclass(frozen=True)
class ByPerson:
    """A rate in one group, by row with an interval that knows of persons, and as the mean over persons."""

    cell: Cell
    persons: int
    by_row: Estimate
    by_person: Estimate


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
    """A rate in every known group, by row and by person; 5 s for a million persons."""
    person = persons.columns[0]
    pairs = by_group(persons, rate, [person, *columns], positive)
    places: dict[Cell, list[int]] = {}
    for place in np.flatnonzero(pairs.n).tolist():
        places.setdefault(pairs.cells[place][1:], []).append(place)
    return [_one(cell, pairs, np.array(mine)) for cell, mine in sorted(places.items())]


def _one(cell: Cell, pairs: Grouped, mine: Array) -> ByPerson:
    hits, n = pairs.hits[mine], pairs.n[mine]
    own = hits / n
    drawn = _drawn([pairs.cells[place][0][1] for place in mine.tolist()], hits, n)
    value, rows = float(hits.sum() / n.sum()), int(n.sum())
    half = z() * float(drawn.std(ddof=1))
    limits = mean_from_sums(len(own), float(own.sum()), float((own**2).sum()))
    low, high = (math.nan if math.isnan(x) else min(1.0, max(0.0, x)) for x in limits)
    return ByPerson(
        cell, len(own), Estimate(value, max(0.0, value - half), min(1.0, value + half), rows),
        Estimate(float(own.mean()), low, high, len(own)),
    )  # fmt: skip


def _drawn(names: Sequence[str], hits: Array, n: Array) -> Array:
    """(DRAWS,) the rate with persons redrawn."""
    sums = np.zeros((2, DRAWS), np.int64)
    for start in range(0, len(names), _PERSONS):
        part = slice(start, start + _PERSONS)
        weights = poisson_weights(np.array(names[part], object), DRAWS).astype(np.int64)
        sums += np.stack([hits[part] @ weights, n[part] @ weights])
    rates_: Array = sums[0, sums[1] > 0] / sums[1, sums[1] > 0]
    return rates_
