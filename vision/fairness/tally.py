"""What an audit keeps of the rows that it has seen: a cube of outcomes, one of scores, and one by person.

All three are exact integers, add up, and are as small as what occurs. Scores are counted by bin (the fifteen of
`vision.reliability`) and by whether the answer was right, with their sums in fixed point, which is what calibration by
group takes. Persons (or accounts, albums, recordings: whatever rows belong to) are counted exactly while there are at
most `MOST_PERSONS`; more are refused with their number, because a driver holds no rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from vision.accumulator import Array
from vision.fairness.coding import Coded
from vision.fairness.counts import Cube
from vision.fairness.rates import PREDICTION, TRUTH
from vision.grouping import MISSING
from vision.reliability import BINS, bins

MOST_PERSONS = 5_000_000
BIN, RIGHT = "score_bin", "right"
FIXED = 24
"""Bits behind the point in sums of scores: 2**38 rows fit."""
_BINS = [f"{place:02d}" for place in range(BINS)]


@dataclass(frozen=True)
class Tally:
    """Counts of rows by group and outcome.

    Attributes:
        by: columns of the groups.
        outcomes: which of truth and prediction there are.
        most: values that a group's column may have.
        also: columns that are counted beside the groups, such as another annotator's.
        person: the column of persons, if they are counted.
        cube: by (*by, *outcomes, *also).
        scores, sums: by (*by, bin, right): rows, and their scores in units of 2**-24.
        persons: by (person, *by, *outcomes).
    """

    by: tuple[str, ...]
    outcomes: tuple[str, ...] = ()
    most: int = 1000
    also: tuple[str, ...] = ()
    person: str | None = None
    cube: Cube | None = None
    scores: Cube | None = None
    sums: Cube | None = None
    persons: Cube | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return (*self.by, *self.outcomes)

    def update(
        self,
        columns: Mapping[str, Coded],
        weights: Array | None = None,
        scores: Array | None = None,
        persons: Coded | None = None,
    ) -> Self:
        """Add rows.

        Args:
            columns: the codes of `by`, `outcomes` and `also`.
            weights: (N,) int64 that each row stands for.
            scores: (N,) of the answers, nan where there is none.
            persons: whom each row belongs to.

        Raises:
            ValueError: if a column has too many values, or a score is outside 0..1.
        """
        mine = {name: columns[name] for name in self.columns}
        beside = {name: columns[name] for name in self.also}
        added = replace(self, cube=Cube.of(mine | beside, weights), scores=None, sums=None, persons=None)
        if scores is not None and {TRUTH, PREDICTION} <= set(columns):
            rows, amounts = self._scored(columns, scores, weights)
            added = replace(added, scores=rows, sums=amounts)
        if persons is not None and self.person is not None:
            added = replace(added, persons=Cube.of({self.person: persons, **mine}, weights))
        return self.merge(added)

    def merge(self, other: Self) -> Self:
        whole = replace(
            self,
            cube=_both(self.cube, other.cube),
            scores=_both(self.scores, other.scores),
            sums=_both(self.sums, other.sums),
            persons=_both(self.persons, other.persons),
        )
        whole._check()
        return whole

    def each(self, change: Callable[[Cube], Cube]) -> Self:
        """The same with every cube changed alike."""
        cubes = (self.cube, self.scores, self.sums, self.persons)
        cube, scores, sums, persons = (None if one is None else change(one) for one in cubes)
        return replace(self, cube=cube, scores=scores, sums=sums, persons=persons)

    def _check(self) -> None:
        if self.cube is not None:
            self.cube.check((*self.by, *self.also), self.most)
        if self.persons is not None and len(self.persons.levels[0]) > MOST_PERSONS:
            found = len(self.persons.levels[0])
            raise ValueError(f"column {self.person} has {found:,} values so far, and persons may be {MOST_PERSONS:,}")

    def _scored(self, columns: Mapping[str, Coded], scores: Array, weights: Array | None) -> tuple[Cube, Cube]:
        """Rows that have truth, answer and score, by group, bin and right or wrong; and their scores."""
        truth, prediction = (np.asarray(columns[n].levels, object)[columns[n].codes] for n in (TRUTH, PREDICTION))
        kept = np.flatnonzero((truth != MISSING) & (prediction != MISSING) & ~np.isnan(scores))
        parts = {name: Coded(columns[name].codes[kept], columns[name].levels) for name in self.by}
        parts[BIN] = Coded(bins(scores[kept]), _BINS)
        parts[RIGHT] = Coded((truth == prediction)[kept].astype(np.int8), ["0", "1"])
        ours = np.ones(len(kept), np.int64) if weights is None else weights[kept]
        fixed = np.rint(scores[kept] * 2.0**FIXED).astype(np.int64) * ours
        return Cube.of(parts, ours), Cube.of(parts, fixed)


def _both(one: Cube | None, other: Cube | None) -> Cube | None:
    if one is None or other is None:
        return other if one is None else one
    return one.merge(other)
