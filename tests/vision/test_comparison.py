"""Paired and unpaired comparisons against statsmodels, SciPy and figures recomputed from ImageNet-X."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from vision.accumulator import Estimate
from vision.comparison import Comparison, Paired, PairedMean, Unpaired, needed, verdict
from vision.intervals import newcombe, rate

IMAGENET_X = 48_868


def discordant(only_baseline: int, only_candidate: int, n: int) -> Paired:
    return Paired(n - only_baseline - only_candidate, only_baseline, only_candidate, 0)


def test_the_anchors_of_imagenet_x() -> None:
    vit, dino = discordant(3330, 4265, IMAGENET_X), discordant(3252, 3573, IMAGENET_X)
    assert vit.mcnemar_p() == pytest.approx(7.3e-27, rel=0.01)
    assert dino.mcnemar_p() == pytest.approx(1.07e-4, rel=0.005)
    assert vit.difference().value == pytest.approx(0.01913, abs=5e-6)
    assert dino.difference().value == pytest.approx(0.00657, abs=5e-6)
    assert verdict(vit.difference(), 0.005) == "pass"
    # A loss of 1.256 points with limits 0.345 away fails a margin of 0.5.
    assert verdict(Estimate(-0.01256, -0.01601, -0.00911, IMAGENET_X), 0.005) == "fail"


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_exact_binomial(only_baseline: int, only_candidate: int) -> None:
    paired = Paired(5, only_baseline, only_candidate, 7)
    table = [[5, only_baseline], [only_candidate, 7]]
    if only_baseline + only_candidate:
        assert paired.mcnemar_p() == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
    else:
        assert paired.mcnemar_p() == 1.0


def test_mcnemar_with_a_million_on_each_side() -> None:
    paired = discordant(10**6, 10**6 + 5000, 3 * 10**6)
    assert paired.mcnemar_p() == pytest.approx(stats.binomtest(10**6, 2 * 10**6 + 5000).pvalue, rel=1e-6)
    assert discordant(10**6, 10**6, 3 * 10**6).mcnemar_p() == 1.0


def test_updates_count_the_four_ways() -> None:
    batch = {
        "baseline_right": np.array([True, True, False, False]),
        "candidate_right": np.array([True, False, True, False]),
        "count": np.array([1, 20, 300, 4000]),
    }
    paired = Paired().update(batch).update(batch)
    assert paired == Paired(2, 40, 600, 8000)
    computed = paired.compute()
    assert computed["baseline"] == rate(42, 8642)
    assert computed["candidate"] == rate(602, 8642)
    assert computed["difference"].value == 560 / 8642


def test_without_disagreement_there_is_still_a_width() -> None:
    paired = Paired(both_right=10)
    assert paired.difference().low < -0.2
    assert verdict(paired.difference(), 0.01) == "undecided"


def test_means_of_pairs_agree_with_the_paired_t_interval() -> None:
    generator = np.random.default_rng(0)
    baseline = generator.gamma(2.0, size=400)
    candidate = baseline + generator.normal(0.02, 0.1, 400)
    state = PairedMean()
    for rows in np.array_split(np.arange(400), 7):
        batch = {"baseline_value": baseline[rows], "candidate_value": candidate[rows]}
        state = state.merge(PairedMean().update(batch))
    expected = stats.ttest_rel(candidate, baseline).confidence_interval()
    difference = state.compute()["difference"]
    assert difference[1:3] == pytest.approx((expected.low, expected.high), abs=1e-8)
    assert difference.value == pytest.approx((candidate - baseline).mean(), abs=1e-9)
    assert state.compute()["baseline"].value == pytest.approx(baseline.mean(), abs=1e-9)


def test_a_missing_value_is_refused() -> None:
    with pytest.raises(ValueError, match="nan"):
        PairedMean().update({"baseline_value": np.array([np.nan]), "candidate_value": np.array([1.0])})


def test_unpaired_rates_have_newcombes_interval() -> None:
    difference = Unpaired(baseline=rate(48, 80), candidate=rate(56, 70)).difference()
    assert difference[1:3] == pytest.approx(newcombe(56, 70, 48, 80))
    assert difference.n == 150


@pytest.mark.parametrize(
    ("low", "high", "higher", "lower"),
    [
        (-0.02, 0.01, "undecided", "undecided"),
        (-0.005, 0.002, "pass", "pass"),
        (-0.03, -0.02, "fail", "pass"),
        (0.02, 0.03, "pass", "fail"),
        (-0.01, 0.005, "undecided", "pass"),  # a limit at the margin decides nothing
        (math.nan, math.nan, "undecided", "undecided"),
    ],
)
def test_verdicts(low: float, high: float, higher: str, lower: str) -> None:
    difference = Estimate((low + high) / 2, low, high, 100)
    assert verdict(difference, 0.01) == higher
    assert verdict(difference, 0.01, higher_is_better=False) == lower


@pytest.mark.parametrize("margin", [-0.1, math.nan, math.inf])
def test_an_impossible_margin_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin must be"):
        verdict(Estimate(0, -1, 1, 1), margin)


@pytest.mark.parametrize("scale", [2, 9])
def test_scaled_pairs_are_those_of_as_many_images(scale: int) -> None:
    assert Paired(30, 4, 6, 10).difference(scale)[1:3] == pytest.approx(
        Paired(30 * scale, 4 * scale, 6 * scale, 10 * scale).difference()[1:3]
    )


def mean_with(n: int, difference: float) -> PairedMean:
    values = np.where(np.arange(n) % 2, difference + 0.3, difference - 0.3)
    return PairedMean().update({"baseline_value": np.zeros(n), "candidate_value": values})


@pytest.mark.parametrize(
    "comparison",
    [
        Paired(700, 100, 103, 97),
        Paired(700, 103, 85, 112),
        Paired(both_right=50),
        Unpaired(rate(480, 800), rate(560, 900)),
        mean_with(50, 0.02),
    ],
)
def test_needed_is_the_first_number_that_decides(comparison: Comparison) -> None:
    n, more = comparison.difference().n, needed(comparison, 0.01)
    assert more is not None
    assert more > 0
    assert verdict(comparison.difference(1 + more / n), 0.01) != "undecided"
    assert verdict(comparison.difference(1 + (more - 1) / n), 0.01) == "undecided"


def test_needed_knows_its_ends() -> None:
    assert needed(Paired(700, 10, 100, 190), 0.01) == 0
    assert needed(Paired(700, 110, 100, 90), 0.01) is None  # exactly at the margin: more will not tell
    assert needed(Paired(), 0.01) is None
    assert needed(mean_with(1, 0.5), 0.01) is None


def test_the_needed_images_do_decide() -> None:
    paired = discordant(60, 70, 1000)
    more = needed(paired, 0.01)
    assert more is not None
    factor = 1 + more / 1000
    grown = discordant(math.ceil(60 * factor), math.ceil(70 * factor), math.ceil(1000 * factor))
    assert verdict(grown.difference(), 0.01) == "pass"


@pytest.mark.parametrize(("agree", "share"), [(0.99, 0.5), (0.9, 0.5), (0.8, 0.6)])
def test_the_paired_interval_covers(agree: float, share: float) -> None:
    generator = np.random.default_rng(1)
    held, difference = 0, (1 - agree) * (2 * share - 1)
    for gained, lost, _ in generator.multinomial(150, [(1 - agree) * share, (1 - agree) * (1 - share), agree], 1000):
        estimate = discordant(int(lost), int(gained), 150).difference()
        held += estimate.low <= difference <= estimate.high
    assert held / 1000 >= 0.93
