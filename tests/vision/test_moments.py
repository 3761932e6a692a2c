"""Means and their limits from exact sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from vision.moments import Moments


def test_mean_and_t_interval_of_weighted_values() -> None:
    generator = np.random.default_rng(0)
    values, counts = generator.normal(3.0, 2.0, 50), generator.integers(1, 4, 50)
    estimate = Moments().add(values, counts).estimate()
    repeated = np.repeat(values, counts)
    expected = stats.ttest_1samp(repeated, 0).confidence_interval()
    assert estimate.value == pytest.approx(repeated.mean(), abs=1e-9)
    assert estimate[1:3] == pytest.approx((expected.low, expected.high), abs=1e-7)
    assert estimate.n == counts.sum()


def test_limits_stay_where_values_can_be() -> None:
    estimate = Moments().add(np.array([0.0, 0.0, 1.0]), np.ones(3, np.int64)).estimate(0.0, 1.0)
    assert estimate[1:3] == (0.0, 1.0)


def test_nothing_and_one_value_have_no_limits() -> None:
    assert all(math.isnan(number) for number in Moments().estimate(0.0)[:3])
    one = Moments().add(np.array([2.5]), np.array([1])).estimate(0.0)
    assert one.value == 2.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_scale_is_as_many_times_the_rows() -> None:
    values, ones = np.arange(10.0), np.ones(10, np.int64)
    assert Moments().add(values, ones).interval(3.0) == pytest.approx(Moments().add(values, 3 * ones).interval())
