"""The nearest photos: against brute force, the same for any cut into shards, exact and by lists."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.placed import places_of
from vision.accumulator import Array
from vision.geolocation.neighbours import Neighbours, inverted, search

pytest.importorskip("faiss")

COUNT, WIDTH = 300, 16
FEATURES = np.random.default_rng(0).normal(0, 1, (COUNT, WIDTH)).astype(np.float32)
FEATURES[50:60] = FEATURES[40:50]  # photos that are there twice
PLACES, KEYS = places_of(COUNT), np.random.default_rng(1).permutation(COUNT).astype(np.uint64)
QUERIES = np.concatenate([FEATURES[40:45], np.random.default_rng(2).normal(0, 1, (20, WIDTH))]).astype(np.float32)


def brute(k: int) -> Array:
    """(Q, k) keys, nearest first and of those as near the lower."""
    apart = np.sqrt(((QUERIES[:, None].astype(np.float64) - FEATURES[None]) ** 2).sum(axis=2))
    order = np.lexsort((np.broadcast_to(KEYS, apart.shape), apart), axis=1)[:, :k]
    return KEYS[order]


def whole(k: int = 7) -> Neighbours:
    return search(QUERIES, FEATURES, PLACES, KEYS, k)


def same(one: Neighbours, other: Neighbours) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name != "keys")
        for name in ("distances", "places", "keys")
    )


def test_the_nearest_are_the_nearest() -> None:
    found = whole()
    assert np.array_equal(found.keys, brute(7))
    assert (np.diff(found.distances, axis=1) >= 0).all() and (found.distances[:5, :2] == 0).all()
    rows = np.argsort(KEYS)[found.keys.astype(np.int64)]
    assert np.array_equal(found.places, PLACES[rows])


@pytest.mark.parametrize("shards", [2, 7, 60])
def test_shards_in_any_order_give_the_same_bytes(shards: int) -> None:
    parts = np.array_split(np.random.default_rng(shards).permutation(COUNT), shards)
    found = Neighbours.none(len(QUERIES), 7)
    for rows in parts:
        found = found.merge(search(QUERIES, FEATURES[rows], PLACES[rows], KEYS[rows], 7))
    assert same(found, whole())


def test_merging_is_associative_and_has_a_zero() -> None:
    a, b, c = (search(QUERIES, FEATURES[i::3], PLACES[i::3], KEYS[i::3], 5) for i in range(3))
    assert same(a.merge(b).merge(c), c.merge(b.merge(a)))
    assert same(Neighbours.none(len(QUERIES), 5).merge(a), a)


def test_fewer_photos_than_asked_for() -> None:
    found = search(QUERIES, FEATURES[:3], PLACES[:3], KEYS[:3], 5)
    assert np.isfinite(found.distances[:, :3]).all() and np.isinf(found.distances[:, 3:]).all()
    assert np.isnan(found.places[:, 3:]).all()
    assert np.isinf(search(QUERIES, FEATURES[:0], PLACES[:0], KEYS[:0], 5).distances).all()


def test_all_lists_are_an_exact_search_and_few_miss_little() -> None:
    index = inverted(FEATURES, 8, 8)
    assert same(search(QUERIES, FEATURES, PLACES, KEYS, 7, index), whole())
    halves = [slice(0, 150), slice(150, 300)]
    index = inverted(FEATURES, 8, 3)
    one = search(QUERIES, FEATURES, PLACES, KEYS, 7, index)
    cut = [search(QUERIES, FEATURES[s], PLACES[s], KEYS[s], 7, index) for s in halves]
    assert same(cut[0].merge(cut[1]), one)
    shared = [len(set(a) & set(b)) for a, b in zip(one.keys.tolist(), brute(7).tolist(), strict=True)]
    assert 0.5 < np.mean(shared) / 7 < 1


def test_a_photo_is_not_its_own_neighbour() -> None:
    found = search(FEATURES[:4], FEATURES, PLACES, KEYS, 6).without(KEYS[:4])
    assert (found.distances[:, 0] > 0).all() and np.isinf(found.distances[:, -1]).all()
    assert not (found.keys == KEYS[:4, None]).any()


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(25, 16\), \(300, 8\)"):
        search(QUERIES, FEATURES[:, :8], PLACES, KEYS, 3)
    with pytest.raises(ValueError, match="references must be finite"):
        search(QUERIES, np.full_like(FEATURES, np.nan), PLACES, KEYS, 3)
    with pytest.raises(ValueError, match=r"need .* uint64 keys"):
        search(QUERIES, FEATURES, PLACES, KEYS.astype(np.int64), 3)
    with pytest.raises(ValueError, match="k must be at least 1"):
        Neighbours.none(3, 0)
    with pytest.raises(ValueError, match="lists must be 1 to 300"):
        inverted(FEATURES, 400, 3)


def test_without_faiss_there_is_one_clear_line() -> None:
    program = (
        "import sys; sys.modules['faiss'] = None\n"
        "import numpy as np\n"
        "from vision.geolocation.neighbours import NoSearch, search\n"
        "one = np.zeros((1, 2), np.float32)\n"
        "try:\n    search(one, one, np.zeros((1, 2)), np.zeros(1, np.uint64), 1)\n"
        "except NoSearch as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "a search among photos needs faiss, which is not installed: pip install 'safelight[search]'\n"
