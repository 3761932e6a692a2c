"""Distances between answers nobody has labelled: values by SciPy and by hand, errors in repeated samples."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from scipy import stats

from vision.accumulator import Array
from vision.comparison import worse
from vision.shift import METRICS, SCORE_BINS, Shift


def counted(metric: str, before: Array, after: Array) -> Shift:
    values = np.concatenate([before, after])
    which = np.arange(len(values)) >= len(before)
    return Shift(metric).update({METRICS[metric]: values, "after": which})


def labels(*counts: int) -> Array:
    return np.repeat(np.arange(len(counts)), counts)


def test_values_by_hand() -> None:
    before, after = labels(50, 30, 20), labels(20, 40, 40)
    assert counted("prediction_shift", before, after).distance == pytest.approx(0.3)
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.4, 0.4])
    assert counted("prediction_stability", before, after).distance == pytest.approx(((q - p) * np.log(q / p)).sum())


def test_the_distance_of_scores_is_kolmogorovs() -> None:
    generator = np.random.default_rng(0)
    before, after = (generator.integers(0, SCORE_BINS, n) / SCORE_BINS for n in (300, 500))
    found = counted("score_shift", before, after * 0.9)
    binned = np.floor(after * 0.9 * SCORE_BINS) / SCORE_BINS
    assert found.distance == pytest.approx(stats.ks_2samp(before, binned).statistic)


def test_stability_at_no_margin_is_the_chi_square_test() -> None:
    before, after = labels(500, 300, 200), labels(540, 310, 250)
    found = worse(counted("prediction_stability", before, after), 0.0, higher_is_better=False)
    table = np.array([[500, 300, 200], [540, 310, 250]])
    assert found == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=0.05)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_without_a_shift_alarms_are_rare(metric: str) -> None:
    generator, alarms = np.random.default_rng(1), 0
    for _ in range(300):
        both = [
            generator.beta(6, 2, 1000) if metric == "score_shift" else generator.integers(0, 10, 1000) for _ in "ab"
        ]
        alarms += worse(counted(metric, *both), 0.0, higher_is_better=False) <= 0.025
    assert alarms <= 300 * 0.025 + 8


@pytest.mark.parametrize("metric", ["prediction_shift", "prediction_stability"])
def test_intervals_hold_the_truth(metric: str) -> None:
    generator, held = np.random.default_rng(2), 0
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.35, 0.35])
    truth = {"prediction_shift": 0.2, "prediction_stability": ((q - p) * np.log(q / p)).sum()}[metric]
    for _ in range(200):
        found = counted(metric, generator.choice(3, 2000, p=p), generator.choice(3, 1500, p=q)).difference()
        held += found.low <= truth <= found.high
    assert held >= 184


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_a_big_shift_is_found_and_limits_are_in_order(metric: str) -> None:
    generator = np.random.default_rng(3)
    if metric == "score_shift":
        found = counted(metric, generator.beta(8, 2, 5000), generator.beta(4, 4, 5000))
    else:
        found = counted(metric, generator.choice(4, 5000, p=[0.7, 0.1, 0.1, 0.1]), generator.integers(0, 4, 5000))
    difference = found.difference()
    assert 0.1 < difference.low < difference.value < difference.high
    assert worse(found, 0.1, higher_is_better=False) < 1e-4
    wide, narrow = found.difference(confidence=0.999), found.difference(scale=10)
    assert wide.low < difference.low < narrow.low
    assert narrow.high < difference.high < wide.high


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_the_same_answers_have_no_distance(metric: str) -> None:
    same = np.linspace(0, 1, 500) if metric == "score_shift" else np.arange(500) % 7
    found = counted(metric, same, same)
    assert found.distance == 0
    assert found.difference().low == 0
    assert worse(found, 0.0, higher_is_better=False) > 0.5


def test_any_split_is_the_same() -> None:
    generator = np.random.default_rng(4)
    values, which = generator.integers(-1, 6, 500), generator.random(500) < 0.4
    zero = Shift("prediction_shift")
    parts = [
        zero.update({"predicted_label": values[rows], "after": which[rows]})
        for rows in np.array_split(generator.permutation(500), 6)
    ]
    assert reduce(Shift.merge, parts) == zero.update({"predicted_label": values, "after": which})


def test_what_is_not_there_is_no_number() -> None:
    assert np.isnan(counted("prediction_shift", labels(3, 4), np.empty(0, np.int64)).difference().value)
    assert counted("score_shift", np.array([0.5, np.nan]), np.array([0.5])).n == 2
