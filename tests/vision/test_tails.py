"""Tail probabilities against sums over everything that can happen, and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vision.intervals import tango
from vision.tails import deviation_tail, lost_tail, normal_tail


def test_the_normal_tail_is_exact_far_out() -> None:
    for deviations in (-3.0, 0.0, 1.96, 5.0, 20.0):
        assert normal_tail(deviations) == pytest.approx(stats.norm.sf(deviations), rel=1e-12)


@pytest.mark.parametrize(
    ("n", "margin", "gained"), [(50, 0.05, 0.05), (400, 0.005, 0.005), (400, 0.05, 0.005), (1000, 0.0, 0.02)]
)
def test_the_level_is_held_by_enumeration(n: int, margin: float, gained: float) -> None:
    lost = gained + margin
    outcomes = [
        (a, b)
        for a in range(int(n * lost + 9 * math.sqrt(n * lost)) + 12)
        for b in range(int(n * gained + 9 * math.sqrt(n * gained)) + 12)
        if a + b <= n
    ]
    counts = np.array([(a, b, n - a - b) for a, b in outcomes])
    chance = stats.multinomial.pmf(counts, n, [lost, gained, 1 - lost - gained])
    likely = chance > 1e-14
    p = np.array([lost_tail(a, b, n, margin) for (a, b), kept in zip(outcomes, likely, strict=True) if kept])
    for level in (0.02, 1e-3, 1e-4, 1e-6):
        assert chance[likely][p <= level].sum() <= level


def test_the_tail_is_that_of_the_sum() -> None:
    """With the shares at their likeliest, known here by symmetry: as many lost as gained."""
    n, share = 100, 0.1  # 10 lost and 10 gained, so 10 of 100 each are likeliest at margin 0
    step, chances = np.array([share, 1 - 2 * share, share]), np.array([1.0])
    for _ in range(n):
        chances = np.convolve(chances, step)
    above = chances[n + 8 :].sum()  # a surplus of 8 or more
    assert lost_tail(14, 6, n, -1e-12) == pytest.approx(above, rel=0.02)  # from margin 0 on it asks McNemar as well


@given(st.integers(1, 200), st.integers(0, 200), st.integers(0, 2000))
def test_at_no_margin_it_is_never_below_mcnemar(lost: int, gained: int, others: int) -> None:
    exact = stats.binom.sf(lost - 1, lost + gained, 0.5)
    assert lost_tail(lost, gained, lost + gained + others, 0.0) >= exact * (1 - 1e-9)


@given(st.integers(0, 80), st.integers(0, 80), st.integers(100, 3000), st.floats(0, 0.04), st.floats(0.0005, 0.05))
def test_more_lost_is_more_evidence_and_more_margin_less(
    lost: int, gained: int, n: int, margin: float, more: float
) -> None:
    p, n = lost_tail(lost, gained, n + 200, margin), n + 200
    assert 0 <= p <= 1
    assert lost_tail(lost + 3, gained, n, margin) <= p * 1.001 + 1e-12
    assert lost_tail(lost, gained, n, margin + more) >= min(p, 0.5) * 0.97 - 1e-12


@pytest.mark.parametrize(("lost", "gained", "n", "margin"), [(380, 300, 10_000, 0.004), (90, 40, 2000, 0.01)])
def test_it_agrees_with_tangos_interval_near_its_limit(lost: int, gained: int, n: int, margin: float) -> None:
    """The interval at confidence 1 - 2p ends at the margin."""
    p = lost_tail(lost, gained, n, margin)
    assert tango(gained, lost, n, 1 - 2 * p)[1] == pytest.approx(-margin, abs=4e-4)


def test_ends_of_the_scale() -> None:
    assert math.isnan(lost_tail(0, 0, 0, 0.01))
    assert lost_tail(0, 0, 100, 0.01) > 0.5
    assert lost_tail(0, 100, 100, 0.0) == 1.0
    assert lost_tail(100, 0, 100, 0.01) < 1e-6
    assert lost_tail(3, 1, 10**9, 0.005) == pytest.approx(1.0)


def test_deviations() -> None:
    assert deviation_tail(-2.0, 1.0, below=True) == pytest.approx(stats.norm.sf(2))
    assert deviation_tail(2.0, 1.0, below=False, freedom=9) == pytest.approx(stats.t.sf(2, 9))
    assert deviation_tail(0.1, 0.0, below=True) == 1.0
    assert deviation_tail(-0.1, 0.0, below=True) == 0.0
    assert math.isnan(deviation_tail(0.1, math.nan, below=True))
