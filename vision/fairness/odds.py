"""Equalized odds: the wider of two gaps, that of true positives and that of false positives.

A maximum of two maxima has no formula for its interval; counts redrawn as a multinomial give one.

Reference: Hardt, Price & Srebro, "Equality of opportunity in supervised learning", NeurIPS 2016.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array, Cell, Estimate
from vision.fairness.counts import Cube
from vision.fairness.rates import RATES, Grouped, by_group
from vision.intervals import multinomial_bootstrap


@dataclass(frozen=True)
class Odds:
    """The equalized odds difference, which rate makes it, and between which groups."""

    difference: Estimate
    rate: str = ""
    lowest: Cell = ()
    highest: Cell = ()
    reason: str = ""


def equalized_odds(cube: Cube, columns: Sequence[str], positive: str, min_group: int = 1) -> Odds:
    """max(range of P(yhat = + | y = +), range of P(yhat = + | y is not +)) over groups with enough rows of each.

    Groups with fewer than `min_group` rows of either truth take no part.
    """
    tpr, fpr = (by_group(cube, RATES[name], columns, positive) for name in ("tpr", "fpr"))
    enough = np.flatnonzero(np.minimum(tpr.n, fpr.n) >= max(1, min_group))
    if len(enough) < 2:
        few = f"fewer than two groups have {min_group} rows with y = {positive} and as many without"
        return Odds(Estimate(math.nan, math.nan, math.nan, 0), reason=few)
    counts = np.stack([part for g in (tpr, fpr) for part in (g.hits[enough], (g.n - g.hits)[enough])], axis=1)
    value = float(_odds(counts.reshape(1, -1))[0])
    seen = counts.reshape(-1) > 0
    low, high = multinomial_bootstrap(counts.reshape(-1)[seen], lambda drawn: _odds(_spread(drawn, seen)))
    wider = max((tpr, fpr), key=lambda g: float(np.ptp(_shares(g)[enough])))
    shares = _shares(wider)[enough]
    ends = (wider.cells[enough[np.argmin(shares)]], wider.cells[enough[np.argmax(shares)]])
    limits = max(0.0, float(low)), min(1.0, float(high))
    return Odds(Estimate(value, *limits, int(counts.sum())), wider.rate.name, *ends)


def _odds(drawn: Array) -> Array:
    """(B,) from (B, G * 4): for each group hits and misses among positives, hits and misses among the others."""
    table = drawn.reshape(len(drawn), -1, 2, 2)
    rates = table[..., 0] / np.maximum(1, table.sum(axis=3))  # (B, G, 2)
    widest: Array = (rates.max(axis=1) - rates.min(axis=1)).max(axis=1)
    return widest


def _spread(drawn: Array, seen: Array) -> Array:
    whole = np.zeros((len(drawn), len(seen)), np.int64)
    whole[:, seen] = drawn
    return whole


def _shares(groups: Grouped) -> Array:
    shares: Array = groups.hits / np.maximum(1, groups.n)
    return shares
