"""Albums answered together: against brute force, and what a speed limit forbids."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import log_softmax

from tests.placed import TOWNS
from vision.accumulator import Array
from vision.geolocation.albums import Travel, decayed, mean, viterbi
from vision.sphere import great_circle_km


def rows_of(photos: int, cells: int = 6, seed: int = 0) -> Array:
    return log_softmax(np.random.default_rng(seed).normal(0, 2, (photos, cells)), axis=1)


def test_the_mean_is_the_geometric_one_normalised() -> None:
    rows = rows_of(5)
    product = np.exp(rows).prod(axis=0) ** (1 / 5)
    assert np.allclose(np.exp(mean(rows)), product / product.sum())
    assert np.allclose(mean(rows[:1]), rows[0])


def test_one_impossible_photo_does_not_make_nothing_of_the_rest() -> None:
    rows = rows_of(3)
    rows[1] = [0.0, *[-math.inf] * 5]
    assert np.isfinite(mean(rows)).all() and mean(rows).argmax() == 0


def test_without_fading_it_is_the_mean_and_with_much_every_photo_is_alone() -> None:
    rows, times = rows_of(4), np.array([0.0, 60.0, 3600.0, 7200.0])
    assert np.allclose(decayed(rows, times, math.inf), np.tile(mean(rows), (4, 1)))
    assert np.allclose(decayed(rows, times, 1e-3), rows)


def test_fading_by_its_definition() -> None:
    rows, times, scale = rows_of(4), np.array([50.0, 0.0, 10.0, 400.0]), 30.0
    for photo in range(4):
        weights = np.exp(-np.abs(times - times[photo]) / scale)
        assert np.allclose(decayed(rows, times, scale)[photo], log_softmax(weights @ rows / weights.sum()))


def test_a_photo_without_a_time_speaks_for_itself() -> None:
    rows = rows_of(3)
    found = decayed(rows, np.array([0.0, math.nan, 0.0]), 60.0)
    assert np.allclose(found[1], rows[1]) and np.allclose(found[0], mean(rows[[0, 2]]))


def brute(rows: Array, times: Array, travel: Travel) -> tuple[list[int], float]:
    """The best of all K**T ways."""
    best: tuple[list[int], float] = ([], -math.inf)
    for way in itertools.product(range(rows.shape[1]), repeat=len(rows)):
        score = sum(rows[photo, cell] for photo, cell in enumerate(way))
        for photo in range(1, len(rows)):
            km = great_circle_km(TOWNS[[way[photo - 1]]], TOWNS[[way[photo]]])
            score -= float(travel.cost(km, float(times[photo] - times[photo - 1]))[0])
        if score > best[1]:
            best = (list(way), score)
    return best


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_ways(seed: int) -> None:
    rows, times = rows_of(4, seed=seed), np.array([0.0, 3600.0, 7200.0, 40_000.0])
    for travel in (Travel(), Travel(per_km=1e-3), Travel(100.0, 0.0)):
        wanted, score = brute(rows, times, travel)
        found = viterbi(rows, times, TOWNS, travel)
        assert found.cells.tolist() == wanted and found.score == pytest.approx(score)


def test_nobody_is_in_sydney_an_hour_after_paris() -> None:
    rows = np.log(np.full((3, 6), 0.01))
    rows[[0, 2], 0] = math.log(0.95)  # Paris
    rows[1, 2] = math.log(0.6)  # Sydney, says the one in the middle
    rows[1, 0] = math.log(0.3)
    hour = np.array([0.0, 3600.0, 7200.0])
    assert viterbi(rows, hour, TOWNS).cells.tolist() == [0, 0, 0]
    assert viterbi(rows, hour * 24, TOWNS).cells.tolist() == [0, 2, 0]
    assert viterbi(rows, hour * math.nan, TOWNS).cells.tolist() == [0, 2, 0]


def test_fewer_candidates_are_still_a_way() -> None:
    rows, times = rows_of(6, seed=3), np.arange(6) * 60.0
    few = viterbi(rows, times, TOWNS, keep=1)
    assert set(few.cells.tolist()) <= set(rows.argmax(axis=1).tolist())
    assert few.score <= viterbi(rows, times, TOWNS).score


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="must not descend"):
        viterbi(rows_of(2), np.array([5.0, 1.0]), TOWNS)
    with pytest.raises(ValueError, match=r"places must be \(6, 2\), got \(5, 2\)"):
        viterbi(rows_of(2), np.zeros(2), TOWNS[:5])
    with pytest.raises(ValueError, match=r"times_s must be \(2,\)"):
        decayed(rows_of(2), np.zeros(3), 1.0)
    with pytest.raises(ValueError, match="scale_s must be above 0"):
        decayed(rows_of(2), np.zeros(2), 0.0)
    with pytest.raises(ValueError, match=r"rows must be \(T, K\)"):
        mean(np.zeros((0, 3)))
