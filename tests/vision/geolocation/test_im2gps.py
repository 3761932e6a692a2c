"""From neighbours to a position: peaks of densities, modes, the antimeridian, and search inside cells."""

from __future__ import annotations

import numpy as np
import pytest

from tests.placed import TOWNS
from vision.accumulator import Array
from vision.geolocation.im2gps import Reading, biggest_mode, densest, weights_of
from vision.geolocation.neighbours import Neighbours
from vision.geolocation.reranking import Best, Inside, inside, rerank
from vision.sphere import great_circle_km

PARIS, ULM, SYDNEY, FIJI = TOWNS[:4]


def around(town: Array, count: int, seed: int = 0, spread: float = 0.2) -> Array:
    places = town + np.random.default_rng(seed).normal(0, spread, (count, 2))
    places[:, 1] = (places[:, 1] + 180) % 360 - 180
    return places


def km(a: Array, b: Array) -> float:
    return float(great_circle_km(a[None], b[None])[0])


def neighbours(places: Array, distances: Array | None = None) -> Neighbours:
    distances = np.linspace(1.0, 1.01, len(places)) if distances is None else distances
    return Neighbours(distances[None], places[None], np.arange(len(places), dtype=np.uint64)[None])


def brute_peak(places: Array, weights: Array, sigma: float) -> Array:
    """The densest point of the fine grid over all the Earth, by the definition."""
    best, found = -1.0, np.zeros(2)
    for latitude in np.arange(40, 60, 0.1):
        for longitude in np.arange(-8, 20, 0.1):
            turned = (longitude - places[:, 1] + 180) % 360 - 180
            value = (weights * np.exp(-((latitude - places[:, 0]) ** 2 + turned**2) / (2 * sigma**2))).sum()
            if value > best:
                best, found = value, np.array([latitude, longitude])
    return found


def test_the_peak_by_the_definition() -> None:
    places = np.concatenate([around(PARIS, 6, spread=2.0), around(ULM, 5, spread=2.0)])
    weights = np.random.default_rng(5).uniform(0.5, 1, 11)
    assert np.abs(densest(places, weights) - brute_peak(places, weights, 4.0)).max() < 0.11


@pytest.mark.parametrize("by", ["density", "mean-shift"])
def test_the_larger_of_two_groups_wins(by: str) -> None:
    places = np.concatenate([around(SYDNEY, 7), around(PARIS, 10), around(SYDNEY, 1, 9)])
    (found,) = Reading(by=by)(neighbours(places))  # type: ignore[arg-type]
    assert km(found, PARIS) < 60
    (first,) = Reading(by="first")(neighbours(places))
    assert np.array_equal(first, places[0])


@pytest.mark.parametrize("by", ["density", "mean-shift"])
def test_the_antimeridian_is_no_edge(by: str) -> None:
    places = around(FIJI, 30, spread=1.0)
    assert (places[:, 1] > 0).any() and (places[:, 1] < 0).any()
    (found,) = Reading(by=by, snap_km=0)(neighbours(places))  # type: ignore[arg-type]
    assert km(found, FIJI) < 60


def test_the_mean_shift_knows_no_pole() -> None:
    places = np.array([[89.9, longitude] for longitude in np.arange(-180.0, 180.0, 30.0)])
    assert biggest_mode(places)[0] > 89.99


def test_near_neighbours_weigh_more() -> None:
    weights = weights_of(np.array([1.0, 1.1, 2.0]), 10)
    assert weights == pytest.approx([1, 1.1**-10, 2.0**-10])
    assert weights_of(np.array([0.0, 0.0, 1.0]), 10).tolist() == [1, 1, 0]
    places = np.concatenate([PARIS[None], around(SYDNEY, 5)])
    (found,) = Reading(by="density")(neighbours(places, np.array([0.5, 1, 1, 1, 1, 1])))
    assert np.allclose(found, PARIS)
    (even,) = Reading(by="density", power=0)(neighbours(places, np.array([0.5, 1, 1, 1, 1, 1])))
    assert km(even, SYDNEY) < 60


def test_the_peak_is_snapped_to_the_first_photo_near_it() -> None:
    places = np.concatenate([around(SYDNEY, 1), around(PARIS, 9)])
    (found,) = Reading(by="density", power=0)(neighbours(places))
    assert np.array_equal(found, places[1])


def test_without_neighbours_there_is_no_place() -> None:
    nobody = Neighbours.none(2, 5)
    for by in ("first", "density", "mean-shift"):
        assert np.isnan(Reading(by=by)(nobody)).all()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="by must be one of first, density, mean-shift, got 'vote'"):
        Reading(by="vote")  # type: ignore[arg-type]


def test_the_most_similar_photo_of_each_cell() -> None:
    generator = np.random.default_rng(0)
    references, cells = generator.normal(0, 1, (50, 4)), generator.integers(-1, 5, 50)
    queries, wanted = generator.normal(0, 1, (6, 4)), generator.integers(-1, 7, (6, 3))
    found = inside(queries, wanted, references, cells)
    for query in range(6):
        for place, cell in enumerate(wanted[query]):
            members = np.flatnonzero(cells == cell) if cell >= 0 else np.empty(0, np.int64)
            if not len(members):
                assert found.rows[query, place] == -1 and np.isinf(found.distances[query, place])
                continue
            apart = np.linalg.norm(references[members] - queries[query], axis=1)
            assert found.rows[query, place] == members[apart.argmin()]
            assert found.distances[query, place] == pytest.approx(apart.min())


def test_similarity_turns_a_close_call_and_not_a_clear_one() -> None:
    places, fallback = TOWNS[:2], np.array([PARIS, PARIS])
    logs = np.log(np.array([[0.5, 0.4], [0.9, 0.01]]))
    found = Inside(np.array([[3.0, 1.0], [3.0, 1.0]]), np.array([[0, 1], [0, 1]]))
    assert np.array_equal(rerank(logs, found, places, fallback), np.array([ULM, PARIS]))
    cold = rerank(logs, found, places, fallback, temperature=0.1)
    assert np.array_equal(cold, np.array([ULM, ULM]))


def test_nothing_far_away_and_nothing_empty_is_chosen() -> None:
    logs, fallback = np.log(np.array([[0.6, 0.4]])), PARIS[None] + 0.5
    towns = np.stack([PARIS, SYDNEY])
    far = Inside(np.array([[9.0, 0.1]]), np.array([[0, 1]]))
    assert np.array_equal(rerank(logs, far, towns, fallback, temperature=0.5), fallback)
    assert np.array_equal(rerank(logs, far, towns, fallback, temperature=0.5, limit_km=20_000), SYDNEY[None])
    lonely = Inside(np.array([[np.inf, 5.0]]), np.array([[-1, 0]]))
    assert np.array_equal(rerank(logs, lonely, towns, fallback), PARIS[None])
    empty = Inside(np.full((1, 2), np.inf), np.full((1, 2), -1))
    assert np.array_equal(rerank(logs, empty, towns, fallback), fallback)
    with pytest.raises(ValueError, match="temperature must be above 0"):
        rerank(logs, empty, towns, fallback, temperature=0)
    with pytest.raises(ValueError, match="probabilities, distances and answers"):
        rerank(logs, empty, towns, fallback[:, :1])


def test_references_in_parts_find_the_same_in_any_order() -> None:
    generator = np.random.default_rng(3)
    references = generator.integers(0, 3, (90, 2)).astype(np.float32)  # many photos are as near as others
    places, cells = generator.uniform(-80, 80, (90, 2)), generator.integers(-1, 6, 90)
    keys, queries = generator.permutation(90).astype(np.uint64), generator.integers(0, 3, (20, 2)).astype(np.float32)
    wanted = generator.integers(-1, 7, (20, 3))
    whole = Best.none(20, 3).add(queries, wanted, references, cells, places, keys)
    parts = [slice(60, 90), slice(0, 1), slice(1, 1), slice(1, 60)]
    found = Best.none(20, 3)
    for part in parts:
        found = found.add(queries, wanted, references[part], cells[part], places[part], keys[part])
    for name in ("distances", "places", "keys"):
        assert np.array_equal(getattr(found, name), getattr(whole, name), equal_nan=True)
    plain = inside(queries, wanted, references, cells)
    assert np.array_equal(whole.distances, plain.distances)
    logs, fallback = np.log(generator.uniform(0, 1, (20, 3))), generator.uniform(-80, 80, (20, 2))
    best = np.argsort(keys)
    lowest = inside(queries, wanted, references[best], cells[best])
    expected = rerank(logs, lowest, places[best], fallback, temperature=0.5, limit_km=5000)
    assert np.array_equal(whole.answers(logs, fallback, 0.5, 5000), expected)
