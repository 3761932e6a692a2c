"""Intervals against statsmodels, SciPy, published tables, and their own definition."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from vision import intervals
from vision.accumulator import Estimate


@st.composite
def trials(draw: st.DrawFn, most: int = 10**6) -> tuple[int, int]:
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


@given(trials(), st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_agrees_with_statsmodels(rate: tuple[int, int], confidence: float) -> None:
    expected = proportion_confint(*rate, alpha=1 - confidence, method="wilson")
    assert intervals.wilson(*rate, confidence) == pytest.approx(expected, abs=1e-12)


@given(trials())
def test_wilson_holds_the_rate_and_stays_inside(rate: tuple[int, int]) -> None:
    low, high = intervals.wilson(*rate)
    assert 0 <= low <= rate[0] / rate[1] <= high <= 1
    assert low < high


def test_wilson_at_the_ends_is_exactly_0_and_1() -> None:
    assert intervals.wilson(0, 7)[0] == 0.0
    assert intervals.wilson(7, 7)[1] == 1.0


@pytest.mark.parametrize(("hits", "n"), [(3, 2), (-1, 5)])
def test_impossible_counts_are_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"got {hits} of {n}"):
        intervals.wilson(hits, n)


def test_impossible_confidence_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 95"):
        intervals.wilson(1, 2, 95)


def test_nothing_seen_is_nan() -> None:
    nothing = [
        intervals.wilson(0, 0),
        intervals.newcombe(0, 0, 1, 2),
        intervals.newcombe(1, 2, 0, 0),
        intervals.tango(0, 0, 0),
        intervals.newcombe_paired(0, 0, 0, 0),
        intervals.mean_from_sums(0, 0.0, 0.0),
        intervals.rate(0, 0)[:3],
        intervals.multinomial_bootstrap(np.zeros(3, np.int64), lambda drawn: drawn[:, 0] / 1.0),
    ]
    assert all(math.isnan(limit) for limits in nothing for limit in limits)


@given(trials(10**4), trials(10**4))
def test_newcombe_agrees_with_statsmodels(first: tuple[int, int], second: tuple[int, int]) -> None:
    expected = confint_proportions_2indep(*first, *second, method="newcomb", compare="diff")
    assert intervals.newcombe(*first, *second) == pytest.approx(expected, abs=1e-9)


def test_published_paired_intervals() -> None:
    # Airway hyper-responsiveness before and after transplantation (Bentur et al. 2009), as tabulated by Fagerland,
    # Lydersen & Laake, "Recommended tests and confidence intervals for paired binomial proportions", 2014.
    assert intervals.tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert intervals.newcombe_paired(1, 1, 7, 12) == pytest.approx((-0.507, -0.026), abs=5e-4)
    # R's PropCIs::scoreci.mp(25, 28, 618, 0.9), which subtracts the other way round.
    assert intervals.tango(28, 25, 618, 0.9) == pytest.approx((-0.0148, 0.0247), abs=5e-5)


def score_statistic(gained: int, lost: int, n: int, delta: float) -> float:
    """(observed - expected) / sd under `delta`, its nuisance parameter fitted numerically."""

    def unlikelihood(q: float) -> float:
        cells = np.array([q + delta, q, 1 - 2 * q - delta])
        seen = np.array([gained, lost, n - gained - lost])
        return float(-(seen[seen > 0] * np.log(np.maximum(cells[seen > 0], 1e-300))).sum())

    bounds = (max(0.0, -delta), (1 - delta) / 2)
    q = optimize.minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return (gained - lost - n * delta) / math.sqrt(n * (2 * q + delta * (1 - delta)))


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 5, 100), (40, 20, 160), (3, 1, 30), (200, 260, 5000)])
def test_tango_limits_are_where_the_score_test_turns(gained: int, lost: int, n: int) -> None:
    low, high = intervals.tango(gained, lost, n)
    assert score_statistic(gained, lost, n, low) == pytest.approx(1.959964, abs=1e-3)
    assert score_statistic(gained, lost, n, high) == pytest.approx(-1.959964, abs=1e-3)


@given(st.integers(1, 10**6))
def test_tango_without_disagreement_has_its_closed_form(n: int) -> None:
    squared = intervals.z() ** 2
    assert intervals.tango(0, 0, n) == pytest.approx((-squared / (n + squared), squared / (n + squared)), rel=1e-9)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_tango_holds_the_difference_and_turns_with_the_sides(gained: int, lost: int, agreed: int) -> None:
    n = gained + lost + agreed
    if n:
        low, high = intervals.tango(gained, lost, n)
        assert -1 <= low <= (gained - lost) / n <= high <= 1
        assert intervals.tango(lost, gained, n) == pytest.approx((-high, -low), abs=1e-12)


def test_tango_becomes_wald_where_pairs_disagree_often() -> None:
    # ResNet-50 and ViT on 48,868 images of ImageNet-X: +1.913 points with a standard error of 0.178.
    low, high = intervals.tango(4265, 3330, 48868)
    assert (high - low) / 2 / intervals.z() == pytest.approx(0.00178, abs=5e-6)
    assert (high + low) / 2 == pytest.approx(0.01913, abs=1e-5)


@pytest.mark.parametrize("n", [2, 5, 300])
def test_means_agree_with_statsmodels(n: int) -> None:
    values = np.random.default_rng(n).gamma(2.0, size=n)
    expected = DescrStatsW(values).tconfint_mean()
    assert intervals.mean_from_sums(n, values.sum(), (values**2).sum()) == pytest.approx(expected, rel=1e-9)


def test_one_value_has_no_spread() -> None:
    assert all(math.isnan(limit) for limit in intervals.mean_from_sums(1, 2.0, 4.0))


def accuracy(drawn: np.ndarray) -> np.ndarray:
    return drawn[:, 0] / drawn.sum(axis=1)


def test_bootstrap_of_a_rate_has_the_binomial_spread() -> None:
    low, high = intervals.multinomial_bootstrap(np.array([7000, 2000, 1000]), accuracy, draws=4000)
    half = 1.96 * math.sqrt(0.7 * 0.3 / 10000)
    assert (low, high) == pytest.approx((0.7 - half, 0.7 + half), abs=half / 10)


def test_bootstrap_of_several_numbers_is_that_of_each() -> None:
    counts = np.array([50, 3, 0, 12, 400])
    both = intervals.multinomial_bootstrap(counts, lambda d: np.stack([accuracy(d), 1 - accuracy(d)], axis=1))
    assert [limit[0] for limit in both] == pytest.approx(intervals.multinomial_bootstrap(counts, accuracy))
    assert both[0].shape == (2,)


def test_bootstrap_is_the_same_every_time() -> None:
    counts = np.arange(200)
    assert intervals.multinomial_bootstrap(counts, accuracy) == intervals.multinomial_bootstrap(counts, accuracy)


def test_biased_statistics_are_shifted_back() -> None:
    # The share of 2,000 equally likely cells that occur: a sample of 2,000 sees 63 %, its redraws only 43 % of all.
    def occurring(drawn: np.ndarray) -> np.ndarray:
        return (drawn > 0).mean(axis=1)

    counts = np.bincount(np.random.default_rng(0).integers(0, 2000, 2000), minlength=2000)
    low, high = intervals.multinomial_bootstrap(counts, occurring)
    assert low <= (counts > 0).mean() < 0.8 < high


@pytest.mark.parametrize("counts", [[5, 3, 1, 1], [400, 300, 2, 9, 15, 16, 17], [1000, 10**6], [4], [1, 1, 1]])
def test_redraws_are_multinomial(counts: list[int]) -> None:
    given_counts = np.array(counts)
    n, shares = given_counts.sum(), given_counts / given_counts.sum()
    drawn = np.concatenate(list(intervals.redraw(given_counts, 20_000)))
    assert drawn.shape == (20_000, len(counts))
    assert (drawn.sum(axis=1) == n).all()
    covariance = n * (np.diag(shares) - np.outer(shares, shares))
    spread = np.sqrt(np.maximum(np.diag(covariance), 1e-9))
    assert (np.abs(drawn.mean(axis=0) - given_counts) <= 5 * spread / math.sqrt(20_000)).all()
    assert np.abs(np.cov(drawn.T) - covariance).max() <= 0.06 * max(covariance.max(), 1e-9)


def test_a_sparse_matrix_of_1000_classes_is_redrawn_1000_times_in_a_second() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 1000, 50_000)
    keys = np.where(generator.random(50_000) < 0.75, truth * 1001, truth * 1000 + generator.integers(0, 1000, 50_000))
    counts = np.unique(keys, return_counts=True)[1]
    assert len(counts) > 10_000
    started = time.process_time()
    intervals.multinomial_bootstrap(counts, accuracy)
    assert time.process_time() - started < 1.0


def test_poisson_weights_are_poisson() -> None:
    drawn = intervals.poisson_weights(np.array([f"{i}.jpg" for i in range(20_000)], object), 10)
    assert drawn.shape == (20_000, 10)
    seen = np.bincount(np.minimum(drawn.ravel(), 5), minlength=6)
    shares = np.append(stats.poisson.pmf(range(5), 1), stats.poisson.sf(4, 1))
    assert stats.chisquare(seen, shares * seen.sum()).pvalue > 1e-3
    assert np.abs(np.corrcoef(drawn.T) - np.eye(10)).max() < 0.04


def test_poisson_weights_depend_on_the_id_alone() -> None:
    ids = np.array(["a", "b", "c", "a"], object)
    whole = intervals.poisson_weights(ids, 50)
    parts = np.concatenate([intervals.poisson_weights(ids[:1], 50), intervals.poisson_weights(ids[1:], 50)])
    assert (whole == parts).all()
    assert (whole[0] == whole[3]).all()
    assert (whole[0] != whole[1]).any()
    code = "from vision.intervals import poisson_weights as p; print(p(['a'], 50).tolist()[0])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(whole[0].tolist())


def test_a_poisson_bootstrap_of_people_is_wider_than_one_of_their_photos() -> None:
    generator = np.random.default_rng(3)
    people = np.repeat([f"person {i}" for i in range(300)], 20)
    right = np.repeat(generator.random(300) < 0.7, 20)
    photos = np.array([f"photo {i}" for i in range(len(people))])
    spread = []
    for ids in (people, photos):
        drawn = intervals.poisson_weights(ids, 400).astype(int)
        spread.append((drawn[right].sum(axis=0) / drawn.sum(axis=0)).std())
    assert spread[0] == pytest.approx(math.sqrt(0.7 * 0.3 / 300), rel=0.15)
    assert spread[1] == pytest.approx(math.sqrt(0.7 * 0.3 / 6000), rel=0.15)


def test_square_and_add_of_wilson_limits_is_newcombe() -> None:
    first, second = (Estimate(h / n, *intervals.wilson(h, n), n) for h, n in ((56, 70), (48, 80)))
    assert intervals.square_and_add(first, second) == intervals.newcombe(56, 70, 48, 80)
    assert intervals.newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)  # Newcombe 1998, example a


def test_scipy_is_loaded_only_when_a_mean_is_asked_for() -> None:
    code = (
        "import sys, vision.comparison, vision.classification.metrics; print([m for m in sys.modules if m == 'scipy'])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"
