"""Tests of two rates and families of p, against SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency, fisher_exact
from statsmodels.stats.multitest import multipletests

from vision.fairness.significance import FEW, benjamini_hochberg, chi_square_p, fisher, holm, two_rates


@pytest.mark.parametrize(
    ("hits", "n", "others", "m"),
    [(58, 72, 2116, 2290), (5, 9, 100, 4000), (0, 40, 3, 60), (7, 7, 1, 9), (4000, 8000, 9100, 22000)],
)
def test_two_rates_are_tested_as_scipy_does(hits: int, n: int, others: int, m: int) -> None:
    table = [[hits, n - hits], [others, m - others]]
    p, test = two_rates(hits, n, others, m)
    few = chi2_contingency(table, correction=False)[3].min() < FEW
    wanted = fisher_exact(table)[1] if few else chi2_contingency(table, correction=False)[1]
    assert test == ("fisher" if few else "chi-square")
    assert p == pytest.approx(wanted, rel=1e-9)


def test_the_far_tail_is_exact_where_chi_square_is_not() -> None:
    """No hit in 120 rows where 10 were expected: what a family of many questions has to weigh."""
    p, test = two_rates(0, 120, 187, 2120)
    assert test == "fisher"
    assert p < chi2_contingency([[0, 120], [187, 1933]], correction=False)[1] / 5


def test_the_exact_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(6)
    for _ in range(300):
        n, m = (int(x) for x in rng.integers(1, 400, 2))
        hits, others = int(rng.integers(0, n + 1)), int(rng.integers(0, m + 1))
        wanted = fisher_exact([[hits, n - hits], [others, m - others]])[1]
        assert fisher(hits, n, others, m) == pytest.approx(wanted, rel=1e-9)
    large = [[310, 10**6 - 310], [20_000, 10**8 - 20_000]]
    assert fisher(310, 10**6, 20_000, 10**8) == pytest.approx(fisher_exact(large)[1], rel=1e-6)
    assert fisher(1_900, 2_000, 100, 10**9) < 1e-300


def test_where_there_is_nothing_to_test() -> None:
    assert np.isnan(two_rates(0, 0, 3, 9)[0])
    assert two_rates(0, 5, 0, 9) == (1.0, "fisher")
    assert two_rates(5, 5, 9, 9) == (1.0, "fisher")
    with pytest.raises(ValueError, match=r"hits must be in 0\.\.n, got 6 of 5"):
        two_rates(6, 5, 0, 9)


def test_a_billion_rows_are_tested_at_once() -> None:
    p, test = two_rates(900_000_000, 10**9, 900_030_000, 10**9)
    assert test == "chi-square"
    assert p == pytest.approx(0.0253, abs=2e-4)


def test_families_are_adjusted_as_statsmodels_does() -> None:
    p = np.random.default_rng(3).random(40) ** 3
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    with_gaps = np.insert(p, [0, 7], np.nan)
    assert np.isnan(holm(with_gaps)[[0, 8]]).all()
    assert holm(with_gaps)[~np.isnan(with_gaps)] == pytest.approx(holm(p))
    assert len(holm(np.empty(0))) == 0


def test_the_tail_of_chi_square() -> None:
    assert chi_square_p(124.323, 6) == pytest.approx(chi2.sf(124.323, 6))
    assert np.isnan(chi_square_p(1.0, 0))
