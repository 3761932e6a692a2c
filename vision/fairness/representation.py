"""Who is in a data set: shares with intervals, how even they are, and how far they are from a reference population.

At a billion rows every p is 0, so effects are what counts: the distance in shares, Cramer's V, a ratio.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from vision.accumulator import Array, Cell, Estimate
from vision.fairness.counts import Cube
from vision.fairness.significance import chi_square_p
from vision.grouping import MISSING
from vision.intervals import multinomial_bootstrap, rate

MOST_DECLARED = 100_000


@dataclass(frozen=True, eq=False)
class Composition:
    """How many rows each group has: `cells` (K), declared ones without rows among them, and `counts` (K,) int64.

    `unknown` rows have no value in one of the columns; they are in no share.
    """

    columns: tuple[str, ...]
    cells: tuple[Cell, ...]
    counts: Array
    unknown: int = 0

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    def shares(self) -> list[Estimate]:
        """Each group's share of the rows whose group is known, with its Wilson interval."""
        return [rate(count, self.n) for count in self.counts.tolist()]

    def entropy(self) -> Estimate:
        """-sum p ln p / ln K over the K groups: 1 where all are as large, 0 where all rows are of one. nan for K = 1.

        Groups that were declared count though nobody is in them.
        """
        if len(self.cells) < 2 or not self.n:
            return Estimate(math.nan, math.nan, math.nan, self.n)
        seen = self.counts[self.counts > 0]
        value = float(_entropy(seen[None], len(self.cells))[0])
        low, high = multinomial_bootstrap(seen, lambda drawn: _entropy(drawn, len(self.cells)))
        return Estimate(value, max(0.0, float(low)), min(1.0, float(high)), self.n)

    def imbalance(self) -> Estimate:
        """The largest group over the smallest; nan where one is empty: nothing can be divided by it."""
        if len(self.cells) < 2 or not self.counts.min():
            return Estimate(math.nan, math.nan, math.nan, self.n)
        low, high = multinomial_bootstrap(self.counts, lambda c: c.max(axis=1) / np.maximum(1, c.min(axis=1)))
        return Estimate(float(self.counts.max() / self.counts.min()), max(1.0, float(low)), float(high), self.n)


def composition(cube: Cube, columns: Sequence[str], declared: Mapping[str, Sequence[str]] | None = None) -> Composition:
    """The groups of one column, or of combinations of several.

    Args:
        declared: the values that a column may have; of others those that occur are the groups.

    Raises:
        ValueError: if there are more combinations than anybody would read.
    """
    part = cube.over(columns)
    codes, counts = part.codes(), part.counts.counts
    found: dict[Cell, int] = {}
    unknown = 0
    for place, count in enumerate(counts.tolist()):
        values = [part.levels[c][codes[c, place]] for c in range(len(columns))]
        if MISSING in values:
            unknown += count
        else:
            found[tuple(zip(columns, values, strict=True))] = count
    sides = [_values(part, column, (declared or {}).get(column)) for column in columns]
    if math.prod(len(side) for side in sides) > MOST_DECLARED:
        raise ValueError(f"{' by '.join(columns)} have more than {MOST_DECLARED:,} combinations")
    cells = [tuple(zip(columns, values, strict=True)) for values in product(*sides)]
    # Of columns that nobody declared, combinations that do not occur say nothing.
    kept = [cell for cell in cells if cell in found or (declared and all(name in declared for name, _ in cell))]
    return Composition(tuple(columns), tuple(kept), np.array([found.get(c, 0) for c in kept], np.int64), unknown)


@dataclass(frozen=True, eq=False)
class Distance:
    """How far shares p are from those q of a reference.

    Attributes:
        total_variation: half the sum of |p - q|: the share of rows that would have to be others.
        kl: sum of p ln(p / q) in nats; infinite where a group that the reference lacks has rows.
        log_ratios: ln(p / q) of each group; -inf where it is empty.
        chi_square, freedom, p, cramers_v: goodness of fit; V = sqrt(chi2 / (n (K - 1))).
    """

    total_variation: float
    kl: float
    log_ratios: Array
    reference: Array
    chi_square: float
    freedom: int
    p: float
    cramers_v: float


def distance(found: Composition, reference: Mapping[Cell, float]) -> Distance:
    """From a composition to a reference population, given by weights of any sum.

    Raises:
        ValueError: if the reference has no weight, a negative one, or groups that were neither seen nor declared.
    """
    strange = sorted(set(reference) - set(found.cells))
    lost = [cell for cell in strange if reference[cell] > 0]
    if lost:
        raise ValueError(f"reference: {spelt(lost[0])} is no group that occurs or is declared")
    weights = np.array([reference.get(cell, 0.0) for cell in found.cells], np.float64)
    if not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError("reference: shares or counts must be 0 or more, and some of them above 0")
    q, n = weights / weights.sum(), found.n
    p = found.counts / n if n else np.full(len(q), math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(p) - np.log(q)
        kl = float(np.where(p > 0, p * logs, 0.0).sum())
        parts = np.where(q > 0, (found.counts - n * q) ** 2 / (n * q), np.where(found.counts > 0, np.inf, 0.0))
    chi, freedom = float(parts.sum()), int((q > 0).sum()) - 1
    v = math.sqrt(chi / (n * freedom)) if n and freedom > 0 else math.nan
    return Distance(float(np.abs(p - q).sum() / 2), kl, logs, q, chi, freedom, chi_square_p(chi, freedom), v)


def distance_intervals(found: Composition, one: Distance) -> dict[str, Estimate]:
    """Total variation, KL and Cramer's V with intervals that draw the rows again; what is not finite is left out.

    The reference is taken as exact. Noise alone pushes a distance up, which the intervals take into account.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = multinomial_bootstrap(found.counts, lambda drawn: _far(drawn, one.reference))
    values = {"total_variation": one.total_variation, "kl": one.kl, "cramers_v": one.cramers_v}
    ends = zip(values.items(), np.maximum(0.0, low).tolist(), high.tolist(), strict=True)
    return {name: Estimate(value, a, b, found.n) for (name, value), a, b in ends if math.isfinite(value)}


def _far(counts: Array, q: Array) -> Array:
    """(B, 3) total variation, KL and Cramer's V of (B, K) counts from the shares q (K,)."""
    n = np.maximum(1, counts.sum(axis=1, keepdims=True))
    p = counts / n
    kl = np.where(p > 0, p * (np.log(np.where(p > 0, p, 1.0)) - np.log(q)), 0.0).sum(axis=1)
    chi = np.where(q > 0, (p - q) ** 2 / np.where(q > 0, q, 1.0), np.where(p > 0, np.inf, 0.0)).sum(axis=1)
    values: Array = np.stack([np.abs(p - q).sum(axis=1) / 2, kl, np.sqrt(chi / max(1, int((q > 0).sum()) - 1))], axis=1)
    return values


@dataclass(frozen=True)
class Association:
    """Whether two columns hang together: chi-square of independence, and Cramer's V in 0..1."""

    columns: tuple[str, str]
    n: int
    chi_square: float
    freedom: int
    p: float
    cramers_v: float


def association(cube: Cube, first: str, second: str) -> Association:
    """Of two columns, over rows in which both are known.

    Reference: Cramer, "Mathematical Methods of Statistics", 1946, chapter 21.
    """
    part = cube.over([first, second])
    table = np.zeros([max(1, len(known)) for known in part.levels], np.float64)
    np.add.at(table, tuple(part.codes()), part.counts.counts)
    kept = [[i for i, value in enumerate(known) if value != MISSING] for known in part.levels]
    table = table[np.ix_(*kept)]
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    n, freedom = table.sum(), max(0, (table.shape[0] - 1) * (table.shape[1] - 1))
    if not freedom:
        return Association((first, second), int(n), math.nan, 0, math.nan, math.nan)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / n
    chi = float(((table - expected) ** 2 / expected).sum())
    v = math.sqrt(chi / (n * (min(table.shape) - 1)))
    return Association((first, second), int(n), chi, freedom, chi_square_p(chi, freedom), v)


def spelt(cell: Cell) -> str:
    """A group as "column=value, column=value"."""
    return ", ".join("=".join(pair) for pair in cell)


def _values(part: Cube, column: str, declared: Sequence[str] | None) -> list[str]:
    known = [value for value in part.levels[part.place(column)] if value != MISSING]
    return [*(declared or ()), *(value for value in known if value not in (declared or ()))]


def _entropy(counts: Array, groups: int) -> Array:
    p = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    logs = np.log(np.where(p > 0, p, 1.0))
    values: Array = -(p * logs).sum(axis=1) / math.log(groups)
    return values
