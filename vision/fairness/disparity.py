"""How a rate differs between groups: each against the rest, and the widest gap, with intervals, tests and names.

The widest gap of many groups is biased upwards: where all groups are alike it is still above 0. So beside it stands the
gap that chance alone would make (rows dealt to the groups at random, hits fixed), and the p of one so wide. Groups
below the minimum are reported, never judged and never dropped: they stay in the groups that they are part of.

References: Newcombe 1998 for differences; Walter, "The distribution of Levin's measure", Biometrika 1975, for ratios
with 0.5 added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from vision.accumulator import Array, Cell, Estimate, ratio
from vision.fairness.rates import Grouped
from vision.fairness.significance import benjamini_hochberg, holm, two_rates
from vision.intervals import NOTHING, SEED, newcombe, rate, z

Verdict = Literal["differs", "not shown", "insufficient data"]
NOBODY = Estimate(math.nan, math.nan, math.nan, 0)
_DRAWS = 1000
_MOST_DEALT = 10**9  # rows up to which cards can be dealt; beyond, binomials are the same thing


@dataclass(frozen=True)
class Rules:
    """What an audit asks of evidence.

    Attributes:
        min_group: rows that a group needs to be judged.
        min_errors: rows that a group must be expected to have of the rarer outcome, at the overall rate; with fewer, a
            group that is not shown to differ is not shown to be alike either.
        level: of Benjamini & Hochberg, and of Holm.
    """

    min_group: int = 30
    min_errors: float = 5.0
    level: float = 0.05
    confidence: float = 0.95


@dataclass(frozen=True)
class Measured:
    """A rate in one group.

    Attributes:
        value: with its Wilson interval.
        rest: hits and rows of the other groups.
        to_rest, to_overall: the rate minus that of the rest, minus that of all, with Newcombe's interval.
        p, test: two-sided, that the group's rate is that of the rest; nan where it was not asked.
        adjusted, holm: p within the family of all groups and rates that were looked at.
    """

    rate: str
    cell: Cell
    hits: int
    value: Estimate
    rest: tuple[int, int]
    to_rest: Estimate
    to_overall: Estimate
    expected: float
    p: float
    test: str
    adjusted: float = math.nan
    holm: float = math.nan
    verdict: Verdict = "insufficient data"


@dataclass(frozen=True)
class Gap:
    """The widest gap of a rate between groups, and which groups make it.

    Attributes:
        difference: highest minus lowest rate; ratio: lowest over highest; both null with a `reason` where undefined.
        worst: the rate of the worst group; of rates without a better end it is unknown.
        by_chance: the difference to expect if all groups were alike; `p`: how often it would be as wide.
    """

    rate: str
    columns: tuple[str, ...]
    difference: Estimate = NOBODY
    ratio: Estimate = NOBODY
    worst: Estimate = NOBODY
    lowest: Cell = ()
    highest: Cell = ()
    worst_cell: Cell = ()
    by_chance: float = math.nan
    p: float = math.nan
    reason: str = ""


def measured(groups: Grouped, rules: Rules) -> list[Measured]:
    """Every group against the rest; the family is adjusted for later, by `family`."""
    all_hits, total = int(groups.hits.sum()), int(groups.n.sum())
    rarer = min(all_hits, total - all_hits) / total if total else 0.0
    found = []
    for cell, hits, n in zip(groups.cells, groups.hits.tolist(), groups.n.tolist(), strict=True):
        rest = (all_hits - hits, total - n)
        p, test = two_rates(hits, n, *rest) if n >= rules.min_group else (math.nan, "")
        to_rest = _difference((hits, n), rest, rules.confidence)
        part = 1 - n / total if total else math.nan  # a group is part of the whole: group - all = part (group - rest)
        to_overall = Estimate(part * to_rest.value, part * to_rest.low, part * to_rest.high, total)
        value = rate(hits, n, rules.confidence)
        found.append(Measured(groups.rate.name, cell, hits, value, rest, to_rest, to_overall, n * rarer, p, test))
    return found


def family(found: Sequence[Measured], rules: Rules) -> list[Measured]:
    """The same with p adjusted for everything that was looked at, and a verdict for each."""
    p = np.array([one.p for one in found])
    pairs = zip(found, benjamini_hochberg(p).tolist(), holm(p).tolist(), strict=True)
    return [replace(one, adjusted=q, holm=h, verdict=_verdict(one, q, rules)) for one, q, h in pairs]


def _verdict(one: Measured, adjusted: float, rules: Rules) -> Verdict:
    if math.isnan(adjusted):
        return "insufficient data"
    if adjusted <= rules.level:
        return "differs"
    return "not shown" if one.expected >= rules.min_errors else "insufficient data"


def gap(groups: Grouped, rules: Rules) -> Gap:
    """The widest gap between groups that have enough rows."""
    name = groups.rate.name
    enough = np.flatnonzero(groups.n >= max(1, rules.min_group))
    if len(enough) < 2:
        return Gap(name, groups.columns, reason=f"fewer than two groups have {rules.min_group} rows to take it of")
    hits, n = groups.hits[enough], groups.n[enough]
    shares = hits / n
    low, high = int(np.argmin(shares)), int(np.argmax(shares))
    most, least = ((int(hits[i]), int(n[i])) for i in (high, low))
    worst = {True: low, False: high, None: None}[groups.rate.higher_is_better]
    chance = dealt(hits, n)
    difference = _difference(most, least, rules.confidence)
    return Gap(
        rate=name,
        columns=groups.columns,
        difference=difference,
        ratio=_ratio(least, most, rules.confidence),
        worst=NOBODY if worst is None else rate(int(hits[worst]), int(n[worst]), rules.confidence),
        lowest=groups.cells[enough[low]],
        highest=groups.cells[enough[high]],
        worst_cell=() if worst is None else groups.cells[enough[worst]],
        by_chance=float(chance.mean()),
        p=float((1 + (chance >= difference.value - 1e-12).sum()) / (1 + len(chance))),
        reason="" if most[0] else "every rate is 0: a ratio of 0 to 0 is not defined",
    )


def dealt(hits: Array, n: Array) -> Array:
    """(draws,) widest differences if the hits fell on the rows at random: groups as large as `n` (G,), all alike."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    total, all_hits = int(n.sum()), int(hits.sum())
    if total < _MOST_DEALT:
        drawn = generator.multivariate_hypergeometric(n, all_hits, size=_DRAWS, method="marginals")
    else:
        drawn = generator.binomial(n, all_hits / total, size=(_DRAWS, len(n)))
    shares = drawn / n
    widest: Array = shares.max(axis=1) - shares.min(axis=1)
    return widest


def _difference(one: tuple[int, int], other: tuple[int, int], confidence: float) -> Estimate:
    if not one[1] or not other[1]:
        return NOBODY
    value = one[0] / one[1] - other[0] / other[1]
    return Estimate(value, *newcombe(*one, *other, confidence), one[1] + other[1])


def _ratio(one: tuple[int, int], other: tuple[int, int], confidence: float) -> Estimate:
    """One rate over another; of 0 over 0 nothing is known."""
    if not other[0]:
        return Estimate(math.nan, *NOTHING, one[1] + other[1])
    value = ratio(*one) / ratio(*other)
    low, high = log_ratio(*one, *other, confidence)
    return Estimate(value, min(value, low), max(value, high), one[1] + other[1])


def log_ratio(hits: int, n: int, other_hits: int, other_n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of `(hits / n) / (other_hits / other_n)`, independent rates, on the logarithm and with 0.5 added."""
    if not n or not other_n:
        return NOTHING
    a, b, c, d = hits + 0.5, n + 0.5, other_hits + 0.5, other_n + 0.5
    centre = math.log(a / b) - math.log(c / d)
    half = z(confidence) * math.sqrt(max(0.0, 1 / a - 1 / b + 1 / c - 1 / d))
    return math.exp(centre - half), math.exp(centre + half)
