"""Medians from counts: as numpy has them, for any split, with limits that hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from vision.quantiles import Sizes, keys, middles


def sizes(values: list[float]) -> Sizes:
    return Sizes().add(np.array(values), np.ones(len(values), np.int64))


@pytest.mark.parametrize("n", [1, 2, 3, 10, 999, 20_000])
def test_the_median_is_numpys(n: int) -> None:
    values = 10.0 ** np.random.default_rng(n).uniform(-6, 4.3, n)
    state = Sizes().add(values, np.ones(n, np.int64))
    assert state.median() == pytest.approx(np.median(values), rel=2.0**-16)
    assert state.n == n


def test_numbers_that_are_missing_lie_beyond_all_others() -> None:
    assert sizes([1.0, math.inf, math.inf]).median() == math.inf
    assert sizes([1.0, 2.0, math.inf]).median() == pytest.approx(2.0, rel=1e-5)
    assert sizes([0.0, 0.0, 5.0]).median() == 0.0
    assert math.isnan(Sizes().median()) and math.isnan(Sizes().interval(1.0)[0])


def test_bins_keep_the_order_and_hold_their_numbers() -> None:
    values = np.sort(10.0 ** np.random.default_rng(0).uniform(-8, 5, 5000))
    found = keys(values)
    assert (np.diff(found) >= 0).all()
    assert np.abs(middles(found) / values - 1).max() < 2.0**-16
    assert middles(keys(np.array([0.0, 1e-12, np.inf]))).tolist() == [0.0, 0.0, np.inf]
    with pytest.raises(ValueError, match="sizes must be 0 or more, got -1"):
        keys(np.array([3.0, -1.0]))
    with pytest.raises(ValueError, match="got nan"):
        keys(np.array([np.nan]))


@pytest.mark.parametrize("n", [6, 7, 50, 237, 2997])
def test_limits_are_the_order_statistics_of_the_binomial(n: int) -> None:
    low, high = sizes([float(k) for k in range(1, n + 1)]).interval(1e9)
    rank = round(low)
    assert (rank, round(high)) == (rank, n + 1 - rank)
    assert stats.binom.cdf(rank - 1, n, 0.5) <= 0.025 < stats.binom.cdf(rank, n, 0.5)


def test_five_numbers_leave_everything_open() -> None:
    assert sizes([1.0, 2.0, 3.0, 4.0, 5.0]).interval(20_015.0) == (0.0, 20_015.0)


def test_the_limits_hold_the_true_median() -> None:
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        low, high = Sizes().add(generator.exponential(1.0, 60), np.ones(60, np.int64)).interval(1e9)
        held += low <= math.log(2) <= high
    assert held >= 0.93 * 400
