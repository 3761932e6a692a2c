"""Matches in rounds: PlaNet's against people, by its numbers, and matches made here."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
from scipy import stats

from vision.geolocation.duel import Duel
from vision.tails import sign_p


def test_planet_against_people_is_undecided() -> None:
    """28 of 50 rounds, of which nothing else is told: the sign test does not call that a victory."""
    match = Duel(won=28, lost=22)
    assert match.p == pytest.approx(stats.binomtest(28, 50).pvalue)
    assert match.verdict == "undecided"
    won = match.compute()["rounds_won"]
    assert won.value == 0.56 and won.low < 0.5 < won.high
    assert "the candidate won 28 of 50 rounds, lost 22, tied 0" in match.sentence()


def test_rounds_medians_and_what_was_not_placed() -> None:
    batch = {
        "baseline": np.array([10, 5, 300, np.inf, np.inf, 7.0]),
        "candidate": np.array([9, 50, 200, 20000, np.inf, 7.0]),
        "count": np.array([1, 1, 2, 1, 1, 1]),
    }
    match = Duel().update(batch)
    assert (match.won, match.lost, match.tied, match.rounds) == (4, 1, 2, 7)
    assert match.baseline.median() == pytest.approx(300, rel=1e-4)
    assert match.candidate.median() == pytest.approx(200, rel=1e-4)
    assert Duel(margin=2.0).update(batch).tied == 3
    parts = [Duel().update({name: values[row : row + 1] for name, values in batch.items()}) for row in range(6)]
    assert reduce(lambda a, b: b.merge(a), parts) == match
    (row,) = match.tables()["duel"].to_pylist()
    assert (row["rounds"], row["won"], row["verdict"]) == (7, 4, "undecided")


@pytest.mark.parametrize(("won", "lost", "verdict"), [(40, 10, "won"), (10, 40, "lost"), (5, 5, "undecided")])
def test_a_verdict_is_that_of_the_sign_test(won: int, lost: int, verdict: str) -> None:
    assert Duel(won=won, lost=lost, tied=1000).verdict == verdict
    assert sign_p(won, lost) == pytest.approx(stats.binomtest(won, won + lost).pvalue)


def test_no_rounds_decide_nothing() -> None:
    assert np.isnan(Duel().p) and Duel().verdict == "undecided"
    assert Duel().compute()["rounds_won"].n == 0
