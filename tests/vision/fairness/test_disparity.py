"""Gaps between groups: published figures, fairlearn as an oracle, names of the groups, error rates of the findings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.audited import cube, cube_of, rows, utkface
from vision.accumulator import Array
from vision.fairness.disparity import Gap, Measured, Rules, dealt, family, gap, log_ratio, measured
from vision.fairness.odds import equalized_odds
from vision.fairness.rates import RATES, Grouped, available, by_group, overall
from vision.fairness.sentences import of_family, of_gap

ALL = Rules(min_group=1, min_errors=0)


def made(n: int, **words: Any) -> pa.Table:
    """Made answers under the names of an audit."""
    table = rows(n, **words).select(["tone", "gender", "truth_", "said"])
    return table.rename_columns(["tone", "gender", "truth", "prediction"])


def found(table: Any, columns: list[str], rules: Rules = ALL, rate: str = "top1") -> list[Measured]:
    return family(measured(by_group(cube_of(table), RATES[rate], columns), rules), rules)


def widest(table: Any, rate: str, columns: list[str], positive: str | None = None, rules: Rules = ALL) -> Gap:
    return gap(by_group(cube_of(table), RATES[rate], columns, positive), rules)


def test_utkface_by_race_is_what_its_author_printed() -> None:
    table = utkface()
    groups = by_group(cube_of(table), RATES["top1"], ["race"])
    shares = {
        cell[0][1]: (h, n) for cell, h, n in zip(groups.cells, groups.hits.tolist(), groups.n.tolist(), strict=True)
    }
    assert shares == {
        "White": (940, 1011), "Black": (428, 456), "Asian": (291, 334), "Indian": (369, 396), "Other": (146, 165),
    }  # fmt: skip
    assert overall(cube_of(table), RATES["top1"]) == (2174, 2362)


def test_utkface_has_the_figures_that_fairlearn_gives() -> None:
    table = utkface()
    top1, selected = widest(table, "top1", ["race"]), widest(table, "selected", ["race"], "female")
    odds = equalized_odds(cube_of(table), ["race"], "female")
    assert top1.difference.value == pytest.approx(0.067339, abs=1e-6)
    assert top1.ratio.value == pytest.approx(0.928256, abs=1e-6)
    assert odds.difference.value == pytest.approx(0.110374, abs=1e-6)
    assert selected.difference.value == pytest.approx(0.134502, abs=1e-6)
    assert selected.ratio.value == pytest.approx(0.782423, abs=1e-6)
    assert (top1.lowest, top1.highest) == ((("race", "Asian"),), (("race", "Black"),))
    assert odds.rate == "fpr"


def test_utkface_by_race_and_gender_finds_four_of_ten() -> None:
    cells = found(utkface(), ["race", "gender"])
    assert len(cells) == 10
    assert sum(one.p < 0.05 for one in cells) == 5
    assert sum(one.adjusted <= 0.05 for one in cells) == sum(one.verdict == "differs" for one in cells) == 4
    assert sum(one.holm <= 0.05 for one in cells) == 3
    worst = min(cells, key=lambda one: one.value.value)
    assert worst.cell == (("race", "Other"), ("gender", "male"))
    assert (worst.value.n - worst.hits, worst.value.n) == (14, 72)
    assert (round(1 - worst.value.high, 3), round(1 - worst.value.low, 3)) == (0.120, 0.300)


def test_utkface_by_three_columns_has_small_groups() -> None:
    cells = found(utkface(), ["race", "gender", "age"])
    assert (len(cells), min(one.value.n for one in cells)) == (38, 3)
    assert sum(one.value.n < 30 for one in cells) == 15
    assert sum(one.p < 0.05 for one in cells) == 12
    assert sum(one.adjusted <= 0.05 for one in cells) == 11
    assert sum(one.holm <= 0.05 for one in cells) == 11
    judged = found(utkface(), ["race", "gender", "age"], Rules())
    assert sum(math.isnan(one.p) for one in judged) == 15
    assert all(one.verdict == "insufficient data" for one in judged if one.value.n < 30)


def test_made_rows_have_the_figures_that_fairlearn_gives() -> None:
    metrics = pytest.importorskip("fairlearn.metrics")
    table = made(3000, seed=4, gap=0.2).drop_null()
    truth, said = (np.array(table[name].to_pylist()) == "female" for name in ("truth", "prediction"))
    groups = np.array([f"{a} {b}" for a, b in zip(table["tone"].to_pylist(), table["gender"].to_pylist(), strict=True)])
    named = {"sensitive_features": groups}
    odds = equalized_odds(cube_of(table), ["tone", "gender"], "female")
    assert odds.difference.value == pytest.approx(metrics.equalized_odds_difference(truth, said, **named))
    selected = widest(table, "selected", ["tone", "gender"], "female")
    assert selected.difference.value == pytest.approx(metrics.demographic_parity_difference(truth, said, **named))
    assert selected.ratio.value == pytest.approx(metrics.demographic_parity_ratio(truth, said, **named))
    frame = metrics.MetricFrame(metrics=metrics.true_positive_rate, y_true=truth, y_pred=said, **named)
    tpr = by_group(cube_of(table), RATES["tpr"], ["tone", "gender"], "female")
    shares = {" ".join(v for _, v in cell): h / n for cell, h, n in zip(tpr.cells, tpr.hits, tpr.n, strict=True)}
    assert shares == pytest.approx(frame.by_group.to_dict())
    assert odds.difference.low <= odds.difference.value <= odds.difference.high


def test_a_row_without_an_answer_is_below_the_line() -> None:
    table = {
        "group": ["a"] * 4 + ["b"] * 4,
        "truth": ["+", "+", "-", "-"] * 2,
        "prediction": ["+", None, "-", "+", "+", "+", "-", "-"],
    }
    counts = cube(table)
    shares = {
        name: [(int(h), int(n)) for h, n in zip(g.hits, g.n, strict=True)]
        for name in ("top1", "top1_all", "answered", "tpr", "fpr", "selected", "ppv")
        for g in [by_group(counts, RATES[name], ["group"], "+")]
    }
    assert shares == {
        "top1": [(2, 3), (4, 4)], "top1_all": [(2, 4), (4, 4)], "answered": [(3, 4), (4, 4)], "tpr": [(1, 2), (2, 2)],
        "fpr": [(1, 2), (0, 2)], "selected": [(2, 4), (2, 4)], "ppv": [(1, 2), (2, 2)],
    }  # fmt: skip
    assert [rate.name for rate in available(counts, None)] == ["top1", "top1_all", "answered"]


def test_nothing_over_nothing_is_null_with_a_reason() -> None:
    none = {"group": ["a"] * 3 + ["b"] * 3, "truth": ["-"] * 6, "prediction": ["-"] * 6}
    counts = cube(none | {"prediction": ["-"] * 5 + ["+"]})
    ppv = by_group(counts, RATES["ppv"], ["group"], "+")
    assert ppv.n.tolist() == [0, 1]
    one = measured(ppv, ALL)[0]
    assert math.isnan(one.value.value) and math.isnan(one.p)
    assert gap(ppv, ALL).reason == "fewer than two groups have 1 rows to take it of"
    nowhere = gap(by_group(cube(none | {"truth": ["-"] * 5 + ["+"]}), RATES["selected"], ["group"], "+"), ALL)
    assert nowhere.difference.value == 0
    assert math.isnan(nowhere.ratio.value)
    assert nowhere.reason == "every rate is 0: a ratio of 0 to 0 is not defined"
    with pytest.raises(ValueError, match="positive: no class 'x' occurs, only -"):
        by_group(cube(none), RATES["tpr"], ["group"], "x")


def test_intervals_hold_their_values_and_a_group_is_part_of_the_whole() -> None:
    for one in found(made(2000, gap=0.1), ["tone"]):
        for part in (one.value, one.to_rest, one.to_overall):
            assert part.low < part.value < part.high
        whole = (one.hits + one.rest[0]) / (one.value.n + one.rest[1])
        assert one.to_overall.value == pytest.approx(one.value.value - whole)
    low, high = log_ratio(30, 100, 60, 100)
    assert low < 0.5 < high
    assert log_ratio(60, 100, 30, 100) == pytest.approx((1 / high, 1 / low))


def test_a_gap_by_chance_is_what_dealing_rows_at_random_gives() -> None:
    n, hits = np.array([50, 80, 120]), np.array([40, 70, 100])
    deck = np.repeat([1, 0], [210, 40])
    rng, widths = np.random.default_rng(0), []
    for _ in range(2000):
        rng.shuffle(deck)
        shares = [part.mean() for part in np.split(deck, np.cumsum(n)[:-1])]
        widths.append(max(shares) - min(shares))
    assert dealt(hits, n).mean() == pytest.approx(np.mean(widths), abs=0.004)
    assert dealt(hits * 10**8, n * 10**8).max() < 1e-3


def grouped(hits: Array, n: Array) -> Grouped:
    cells = tuple((("group", str(place)),) for place in range(len(n)))
    return Grouped(RATES["top1"], ("group",), cells, hits, n)


def test_a_thousand_audits_of_random_groups_find_something_no_more_often_than_said() -> None:
    rng = np.random.default_rng(11)
    n = np.array([2000, 1500, 900, 400, 250, 150])
    alarms = sum(
        any(one.verdict == "differs" for one in family(measured(grouped(rng.binomial(n, 0.9), n), Rules()), Rules()))
        for _ in range(1000)
    )
    assert alarms <= 50 + 2 * math.sqrt(50)


def test_a_planted_gap_of_five_points_is_found() -> None:
    rng = np.random.default_rng(12)
    n = np.array([2000, 6000, 4000, 5000, 3000])
    rates = np.array([0.85, 0.9, 0.9, 0.9, 0.9])
    hits = [family(measured(grouped(rng.binomial(n, rates), n), Rules()), Rules())[0] for _ in range(200)]
    assert sum(one.verdict == "differs" for one in hits) >= 190


def test_a_small_group_that_is_not_shown_to_differ_is_not_shown_to_be_alike() -> None:
    few = family(measured(grouped(np.array([990, 39]), np.array([1000, 40])), Rules()), Rules())
    assert few[1].verdict == "insufficient data"
    many = family(measured(grouped(np.array([990, 25]), np.array([1000, 40])), Rules()), Rules())
    assert many[1].verdict == "differs"


def test_sentences_name_groups_and_never_say_that_all_is_well() -> None:
    table = made(2500, gap=0.15)
    said = of_gap(widest(table, "top1", ["tone", "gender"]))
    assert "lowest for tone=dark, gender=female" in said
    assert "groups that are all alike would show" in said
    quiet = of_family(found(made(2500), ["gender"], Rules()), Rules())
    assert "that does not show that there is no difference" in quiet[0]
    loud = of_family(found(table, ["tone", "gender"], Rules()), Rules())
    assert any("top1 for tone=dark, gender=female is 0.7" in sentence for sentence in loud)
    assert not any("unbiased" in sentence for sentence in (said, *quiet, *loud))
