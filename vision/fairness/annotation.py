"""Who says that a row belongs to a group: two annotators beside each other, and groups that a model predicted.

Where a group is predicted, a gap between predicted groups is not the gap between true ones. From a sample in which the
true group is known beside the predicted one, it can be said how often each is which; what cannot be said is whether
the errors of the audited model fall on the rows that were put into the wrong group. So a true group's rate is only
known between two ends: that all such rows were hits, or none.

References: Cohen, "A coefficient of agreement for nominal scales", 1960; Kallus, Mao & Zhou, "Assessing algorithmic
fairness with unobserved protected class using data combination", Management Science 2022.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array, Estimate
from vision.fairness.counts import Cube
from vision.grouping import MISSING
from vision.intervals import multinomial_bootstrap, rate


@dataclass(frozen=True)
class Agreement:
    """How far two annotations of the same rows agree: the share, and Cohen's kappa (1: always, 0: as by chance)."""

    columns: tuple[str, str]
    share: Estimate
    kappa: Estimate


def agreement(cube: Cube, first: str, second: str) -> Agreement:
    """Of two columns, over rows that both say something about; kappa is nan where both only ever say one thing."""
    part = cube.over([first, second])
    names = sorted(set(part.levels[0]) | set(part.levels[1]))
    texts = [np.array([*levels, None], object)[codes] for levels, codes in zip(part.levels, part.codes(), strict=True)]
    known = (texts[0] != MISSING) & (texts[1] != MISSING)
    a, b = (np.searchsorted(names, text[known].astype(str)) for text in texts)
    counts = part.counts.counts[known]
    n = int(counts.sum())
    share = rate(int(counts[a == b].sum()), n)

    def kappa(drawn: Array) -> Array:
        sides = [np.stack([drawn[:, place == i].sum(axis=1) for i in range(len(names))], axis=1) for place in (a, b)]
        total = np.maximum(1, drawn.sum(axis=1))
        chance = (sides[0] * sides[1]).sum(axis=1) / total.astype(np.float64) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            values: Array = np.where(chance < 1, (drawn[:, a == b].sum(axis=1) / total - chance) / (1 - chance), 1.0)
        return values

    if not n or len(set(a.tolist()) | set(b.tolist())) < 2:
        return Agreement((first, second), share, Estimate(math.nan, math.nan, math.nan, n))
    low, high = multinomial_bootstrap(counts, kappa)
    value = float(kappa(counts[None])[0])
    return Agreement((first, second), share, Estimate(value, max(-1.0, float(low)), min(1.0, float(high)), n))


@dataclass(frozen=True)
class Bounds:
    """What can be said of a true group's rate when rows are known by predicted group.

    Attributes:
        naive: the rate of the predicted group of the same name.
        low, high: between which the true group's rate lies, if the checked sample is like the audited rows.
        right: of the rows predicted as this group, the share that is of it (precision); of its rows, the share that
            was predicted so (recall).
    """

    group: str
    naive: float
    low: float
    high: float
    precision: float
    recall: float


def bounds(groups: Sequence[str], hits: Array, n: Array, checked: Array) -> list[Bounds]:
    """The ends between which each true group's rate lies.

    Args:
        groups: G names, of predicted and of true groups alike.
        hits, n: (G,) hits and rows by predicted group.
        checked: (G, G) rows of the checked sample by predicted (first) and true group.

    Raises:
        ValueError: if a predicted group that has rows was never checked.
    """
    seen = checked.sum(axis=1)
    for name, rows, sample in zip(groups, n.tolist(), seen.tolist(), strict=True):
        if rows and not sample:
            raise ValueError(f"no row that was predicted as {name} was checked: nothing is known of its true group")
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(seen[:, None] > 0, checked / np.maximum(1, seen)[:, None], 0.0)  # P(true | predicted)
        rates = np.where(n > 0, hits / np.maximum(1, n), 0.0)
        recall = np.diag(checked) / checked.sum(axis=0)
    weights = n / n.sum()
    found = []
    for place, name in enumerate(groups):
        held = shares[:, place]
        below = float((weights * held).sum())
        # In each predicted group, hits and members overlap at least and at most as Frechet's bounds say.
        least = float((weights * np.maximum(0.0, rates + held - 1)).sum())
        most = float((weights * np.minimum(rates, held)).sum())
        low, high = (least / below, most / below) if below else (math.nan, math.nan)
        naive = float(rates[place]) if n[place] else math.nan
        found.append(Bounds(name, naive, low, high, float(held[place]), float(recall[place])))
    return found
