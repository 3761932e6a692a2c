"""From counts to what an audit says: every rate by every combination of columns, in one family of all questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from vision.accumulator import Cell, Estimate
from vision.fairness import disparity, rates, representation
from vision.fairness.counts import Cube
from vision.fairness.disparity import Gap, Measured, Rules
from vision.fairness.odds import Odds, equalized_odds
from vision.fairness.representation import Association, Composition
from vision.intervals import rate


@dataclass(frozen=True)
class Asked:
    """What is to be read off the counts.

    Attributes:
        by, order: columns, and how many of them at most are combined.
        names: rates; none: those that there are counts for.
        truth: the column that is the truth; within its own groups the rates of one class are no rates of anything.
        declared: the values that a column may have.
    """

    by: tuple[str, ...]
    order: int = 1
    names: tuple[str, ...] = ()
    positive: str | None = None
    truth: str | None = None
    declared: Mapping[str, Sequence[str]] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)

    @property
    def combinations(self) -> list[tuple[str, ...]]:
        return [c for size in range(1, self.order + 1) for c in combinations(self.by, size)]


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        overall: rates over all rows.
        groups: a row for each rate and group.
        gaps, odds: the widest of each rate by each combination; equalized odds likewise.
        compositions: who is there, by each combination.
        unanswered: rows without an answer.
    """

    overall: Mapping[str, Estimate]
    groups: tuple[Measured, ...]
    gaps: tuple[Gap, ...]
    odds: Mapping[tuple[str, ...], Odds]
    compositions: tuple[Composition, ...]
    associations: tuple[Association, ...]
    unanswered: int = 0

    def by_cell(self) -> list[tuple[Cell, dict[str, Estimate]]]:
        """Every group with its share and its rates."""
        cells: dict[Cell, dict[str, Estimate]] = {}
        for composition in self.compositions:
            for cell, share in zip(composition.cells, composition.shares(), strict=True):
                cells.setdefault(cell, {})["share"] = share
        for one in self.groups:
            if one.value.n:
                cells.setdefault(one.cell, {})[one.rate] = one.value
        return list(cells.items())


def read(cube: Cube, asked: Asked) -> Found:
    """Everything that was asked for.

    Raises:
        ValueError: if a rate cannot be made of these counts, or the positive class does not occur.
    """
    chosen = _rates(cube, asked)
    found, gaps, odds = list[Measured](), list[Gap](), dict[tuple[str, ...], Odds]()
    for columns in asked.combinations:
        for one in chosen:
            if one.binary and asked.truth in columns:
                continue
            groups = rates.by_group(cube, one, columns, asked.positive)
            found += disparity.measured(groups, asked.rules)
            gaps.append(disparity.gap(groups, asked.rules))
        if (
            asked.positive is not None
            and asked.truth not in columns
            and {rates.TRUTH, rates.PREDICTION} <= set(cube.columns)
        ):
            odds[columns] = equalized_odds(cube, columns, asked.positive, asked.rules.min_group)
    return Found(
        {one.name: rate(*rates.overall(cube, one, asked.positive)) for one in chosen},
        tuple(disparity.family(found, asked.rules)),
        tuple(gaps),
        odds,
        tuple(representation.composition(cube, columns, asked.declared) for columns in asked.combinations),
        tuple(representation.association(cube, *pair) for pair in combinations(asked.by, 2)),
        _unanswered(cube),
    )


def _unanswered(cube: Cube) -> int:
    """Rows without an answer; none where nothing was to be answered."""
    if rates.PREDICTION not in cube.columns:
        return 0
    hits, n = rates.overall(cube, rates.RATES["answered"])
    return n - hits


def _rates(cube: Cube, asked: Asked) -> list[rates.Rate]:
    """The rates asked for; by default those of right answers, of answers where some are missing, and of one class."""
    known = {one.name: one for one in rates.available(cube, asked.positive)}
    for name in asked.names:
        if name not in known:
            why = "needs --positive" if name in rates.RATES and rates.RATES[name].binary else "cannot be made of this"
            raise ValueError(f"metrics: {name} {why} (there are: {', '.join(known) or 'none'})")
    if asked.names:
        return [known[name] for name in asked.names]
    if not _unanswered(cube):  # nobody is missing: these would say nothing, or the same again
        known = {name: one for name, one in known.items() if name not in ("answered", "top1_all")}
    return list(known.values())
