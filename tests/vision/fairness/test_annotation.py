"""Two annotators, and groups that a model predicted: kappa as scikit-learn has it, bounds that some truth reaches."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from tests.audited import cube
from vision.fairness.annotation import agreement, bounds


def test_agreement_and_kappa_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 300)
    second = np.where(rng.random(300) < 0.8, first, rng.integers(0, 3, 300))
    names = np.array(["dark", "light", "medium", None], object)
    found = agreement(cube({"a": [*names[first], None], "b": [*names[second], "dark"]}), "a", "b")
    assert found.share.n == 300
    assert found.share.value == pytest.approx((first == second).mean())
    assert found.kappa.value == pytest.approx(cohen_kappa_score(first, second))
    assert found.kappa.low < found.kappa.value < found.kappa.high
    assert found.kappa.high - found.kappa.low == pytest.approx(4 * 0.035, rel=0.5)


def test_annotators_who_only_ever_say_one_thing_have_no_kappa() -> None:
    found = agreement(cube({"a": ["x"] * 5, "b": ["x"] * 5}), "a", "b")
    assert found.share.value == 1
    assert math.isnan(found.kappa.value)


def test_a_true_groups_rate_lies_between_the_bounds_and_reaches_both() -> None:
    """Every way in which hits may fall on the rows of each predicted group, enumerated."""
    hits, n = np.array([3, 1]), np.array([4, 3])
    members = np.array([[3, 1], [1, 2]])  # of each predicted group, rows that truly are of the first, of the second
    rates = []
    for chosen in itertools.product(*(itertools.combinations(range(k), h) for k, h in zip(n, hits, strict=True))):
        among_first = sum(sum(place < members[p, 0] for place in right) for p, right in enumerate(chosen))
        rates.append(among_first / members[:, 0].sum())
    found = bounds(["a", "b"], hits, n, members)[0]
    assert (found.low, found.high) == (pytest.approx(min(rates)), pytest.approx(max(rates)))
    assert (found.naive, found.precision, found.recall) == (0.75, 0.75, 0.75)


def test_where_predictions_are_never_wrong_the_bounds_meet() -> None:
    for one, rate in zip(
        bounds(["a", "b"], np.array([8, 3]), np.array([10, 6]), np.diag([50, 20])), (0.8, 0.5), strict=True
    ):
        assert one.low == one.high == pytest.approx(rate) == pytest.approx(one.naive)


def test_a_predicted_group_that_was_never_checked_is_refused() -> None:
    with pytest.raises(ValueError, match="no row that was predicted as b was checked"):
        bounds(["a", "b"], np.array([1, 1]), np.array([2, 2]), np.array([[3, 0], [0, 0]]))
