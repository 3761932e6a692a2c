"""Values that go together: the measure by its formula, tests against another's, no findings where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, fisher_exact

from tests.audited import cube
from vision.fairness.correlation import pairs
from vision.fairness.significance import FEW


def columns(n: int, seed: int = 0, tie: float = 0.0) -> dict[str, list[str]]:
    """A scene and a label of n rows; in a share `tie` of the rows with scene 0 the label is 0."""
    rng = np.random.default_rng(seed)
    scene, label = rng.integers(0, 6, n), rng.integers(0, 8, n)
    label = np.where((scene == 0) & (rng.random(n) < tie), 0, label)
    return {"scene": [f"s{v}" for v in scene], "label": [f"l{v}" for v in label]}


def test_the_measure_is_the_formula() -> None:
    values = columns(500, tie=0.5)
    found = pairs(cube(values), [("scene", "label")])
    rows = list(zip(values["scene"], values["label"], strict=True))
    for one in found:
        u, v = one.values
        both = sum(row == (u, v) for row in rows)
        first, second = (sum(row[place] == value for row in rows) for place, value in enumerate((u, v)))
        assert (one.both, one.first, one.second, one.n) == (both, first, second, 500)
        wanted = math.log(both / 500 / (first / 500 * second / 500)) / -math.log(both / 500) if both else -1
        assert one.npmi == pytest.approx(wanted)
    assert found[0].values == ("s0", "l0")
    assert abs(found[0].npmi) == max(abs(one.npmi) for one in found)
    estimate = found[0].estimate()
    assert estimate.low < estimate.value < estimate.high


@pytest.mark.parametrize("n", [300, 20_000, 200_000])
def test_p_is_that_of_others(n: int) -> None:
    """Fisher's, the smaller tail doubled, where few rows are expected; chi-square elsewhere."""
    for one in pairs(cube(columns(n, tie=0.01)), [("scene", "label")]):
        table = [[one.both, one.first - one.both], [one.second - one.both, n - one.first - one.second + one.both]]
        squared = chi2_contingency(table, correction=False)
        if squared.expected_freq.min() < FEW:
            sides = [fisher_exact(table, alternative=side)[1] for side in ("less", "greater")]
            assert one.p == pytest.approx(min(1.0, 2 * min(sides)), rel=1e-6)
        else:
            assert one.p == pytest.approx(squared[1], rel=1e-6)


def test_chance_finds_seldom_what_is_not_there_and_mostly_what_is() -> None:
    empty = [pairs(cube(columns(600, seed)), [("scene", "label")]) for seed in range(200)]
    assert np.mean([any(one.adjusted <= 0.05 for one in found) for found in empty]) <= 0.05
    full = [pairs(cube(columns(600, seed, tie=0.3)), [("scene", "label")]) for seed in range(30)]
    assert np.mean([found[0].values == ("s0", "l0") and found[0].adjusted <= 0.05 for found in full]) >= 0.95


def test_rare_pairs_missing_values_and_constants_are_left_out() -> None:
    values = {"a": ["x"] * 30 + ["y"] * 5 + [None] * 40, "b": ["u"] * 40 + ["v"] * 35}
    assert not pairs(cube(values), [("a", "b")], least=30)  # every row in which both are known has u
    found = pairs(cube(columns(100)), [("scene", "label")], least=10)
    assert all(one.both >= 10 or one.expected >= 10 for one in found)
    assert pairs(cube({"a": [None, None], "b": ["x", "y"]}), [("a", "b")]) == []


def test_what_never_meets_though_it_would_by_chance_is_a_finding() -> None:
    values = {"a": ["x", "y"] * 200, "b": ["u", "v"] * 200}
    found = pairs(cube(values), [("a", "b")])
    assert {(one.values, one.npmi) for one in found} == {
        (("x", "u"), 1.0), (("y", "v"), 1.0), (("x", "v"), -1.0), (("y", "u"), -1.0),
    }  # fmt: skip
    assert all(one.adjusted < 1e-50 for one in found)


def test_pairs_of_several_columns_are_one_family() -> None:
    values = columns(600, tie=0.3) | {"other": [str(n % 3) for n in range(600)]}
    alone = pairs(cube(values), [("scene", "label")])
    both = pairs(cube(values), [("scene", "label"), ("other", "label")])
    assert len(both) > len(alone)
    assert {one.values: one.p for one in alone}.items() <= {one.values: one.p for one in both}.items()
    with pytest.raises(ValueError, match="'nothing' was not counted"):
        pairs(cube(values), [("nothing", "label")])
