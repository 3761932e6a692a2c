"""Control over groups and nights: the arithmetic against SciPy, the promise in simulated nights.

In the simulations a series of nights has one set of test images and one champion, drawn once, so that its luck on these
images stays, and a candidate as good as it each night that answers `CHURN` of the images anew: 70 % of answers being
right, 7 % of the images change.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vision.accumulator import Array
from vision.comparison import Paired, judged, worse
from vision.evidence import levels, share

ERROR, RIGHT, CHURN = 0.025, 0.7, 1 / 6


def test_all_nights_together_spend_everything_and_no_more() -> None:
    nights = np.arange(1, 200_001)
    spent = sum(share(int(night)) for night in nights[:2000])
    assert spent < 1
    rest = 1 / (2.1097428012368919 * math.log(2001.5))  # the integral of what is left
    assert spent + rest == pytest.approx(1, abs=1e-5)
    assert all(share(n) > share(n + 1) for n in range(1, 400))


@pytest.mark.parametrize("night", [0, -3])
def test_there_is_no_night_before_the_first(night: int) -> None:
    with pytest.raises(ValueError, match="night must be"):
        share(night)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 400))
def test_discoveries_are_those_of_benjamini_and_yekutieli(p: list[float], night: int) -> None:
    values = np.array(p) ** 4
    found = values <= levels(values, np.full(len(p), ERROR), night)
    adjusted = stats.false_discovery_control(values, method="by")
    clear = np.abs(adjusted - ERROR * share(night)) > 1e-12
    assert (found == (adjusted <= ERROR * share(night)))[clear].all()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_a_finding_at_its_level_would_have_been_one(p: list[float]) -> None:
    values, errors = np.array(p), np.full(len(p), ERROR)
    limits = levels(values, errors)
    for index in np.flatnonzero(values > limits):
        moved = values.copy()
        moved[index] = limits[index] * (1 - 1e-9)
        assert moved[index] <= levels(moved, errors)[index]


def test_one_question_alone_may_spend_the_night() -> None:
    assert levels(np.array([0.4]), np.array([ERROR]))[0] == pytest.approx(ERROR * share(1))
    assert levels(np.array([np.nan]), np.array([ERROR]))[0] == pytest.approx(ERROR * share(1))
    assert len(levels(np.array([]), np.array([]))) == 0


def test_stricter_gates_ask_for_more() -> None:
    strict, loose = levels(np.array([0.5, 0.5]), np.array([0.005, 0.025]))
    assert loose == pytest.approx(5 * strict)


@pytest.mark.parametrize(("p", "times"), [(0.01, 7), (1e-6, 12)])
def test_e_values_would_ask_for_more(p: float, times: int) -> None:
    """The best there is, exp(z^2 / 2), against the p of the same surprise: the docstring's argument."""
    assert math.exp(-(stats.norm.isf(p) ** 2) / 2) / p == pytest.approx(times, rel=0.1)


@pytest.mark.parametrize(("p", "errors"), [([0.1], [0.1, 0.2]), ([0.1], [0.0]), ([0.1], [1.5])])
def test_wrong_arguments(p: list[float], errors: list[float]) -> None:
    with pytest.raises(ValueError, match="errors must"):
        levels(np.array(p), np.array(errors))


def series(generator: np.random.Generator, nights: int, sizes: list[int]) -> Array:
    """(nights, groups, 2) lost and gained images of a night's candidate in each group."""
    right = generator.binomial(sizes, RIGHT)  # the champion's, once
    lost = generator.binomial(right, CHURN * (1 - RIGHT), size=(nights, len(sizes)))
    gained = generator.binomial(np.array(sizes) - right, CHURN * RIGHT, size=(nights, len(sizes)))
    return np.stack([lost, gained], axis=2)


def alarms(counts: Array, sizes: list[int], first: int = 1) -> Array:
    """(nights,) bool: whether the whole or a group failed at margin 0."""
    found = []
    for night, groups in enumerate(counts, first):
        each = [(*pair, n) for pair, n in zip(groups.tolist(), sizes, strict=True)]
        everything = [(*groups.sum(axis=0).tolist(), sum(sizes)), *each] if len(sizes) > 1 else each
        p = np.array([worse(Paired(n - lost - gained, lost, gained, 0), 0.0) for lost, gained, n in everything])
        found.append(bool((p <= levels(p, np.full(len(p), ERROR), night)).any()))
    return np.array(found)


def test_a_thousand_nights_without_effect() -> None:
    generator, sizes = np.random.default_rng(4), [4000, 3000, 2000, 1000]
    found = [int(alarms(series(generator, 1000, sizes), sizes).sum()) for _ in range(4)]
    # Each of these series of 1,000 nights may hold an alarm with a chance of 0.025: two in four would be 1 in 270.
    assert sum(count > 0 for count in found) <= 1
    assert sum(found) <= 2


def test_the_chance_of_any_alarm_is_below_the_rate() -> None:
    """Many short series: where most of the error is spent. Asked at 0.025 each night, a third of them would alarm."""
    generator, sizes, runs = np.random.default_rng(5), [10_000], 800
    any_alarm = unspent = 0
    for _ in range(runs):
        counts = series(generator, 30, sizes)
        any_alarm += bool(alarms(counts, sizes).any())
        surplus = counts[:, 0, 0] - counts[:, 0, 1]
        unspent += bool((surplus > 1.96 * np.sqrt(counts[:, 0].sum(axis=1))).any())
    assert any_alarm / runs <= ERROR
    assert unspent / runs > 0.15


@pytest.mark.parametrize("changed", [0.06, 0.07, 0.08])
@pytest.mark.parametrize("margin", [0.0, 0.005])
def test_two_points_lost_on_ten_thousand_images_are_found_on_the_first_night(changed: float, margin: float) -> None:
    level = float(levels(np.array([1.0]), np.array([ERROR]))[0])
    assert found(changed, 0.02, margin, level) >= 0.99


@pytest.mark.parametrize(("night", "drop"), [(1, 0.0122), (365, 0.019), (3650, 0.021)])
def test_what_is_still_found_later(night: int, drop: float) -> None:
    """The figures of the module's docstring."""
    level = float(levels(np.array([1.0]), np.array([ERROR]), night)[0])
    assert found(0.07, drop, 0.0, level) >= 0.98


def found(changed: float, drop: float, margin: float, level: float) -> float:
    """The share of 600 nights on which a drop is found, when `changed` of 10,000 images change."""
    chances = [(changed - drop) / 2, (changed + drop) / 2, 1 - changed]
    drawn = np.random.default_rng(6).multinomial(10_000, chances, 600).tolist()
    verdicts = [judged(Paired(same, lost, gained, 0), margin, level=level) for gained, lost, same in drawn]
    return verdicts.count("fail") / len(verdicts)


def test_a_worse_candidate_passes_no_more_often_than_said() -> None:
    """At the margin exactly, on any night: passing has no level."""
    drawn = np.random.default_rng(7).multinomial(10_000, [0.03, 0.04, 0.93], 3000).tolist()
    passed = [judged(Paired(same, lost, gained, 0), 0.01, level=1e-6) == "pass" for gained, lost, same in drawn]
    assert np.mean(passed) <= ERROR + 3 * math.sqrt(ERROR / 3000)
