"""Pairs within a distance: the same as by comparing all, each once, in runs of bounded size."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from vision import hamming
from vision.accumulator import Array
from vision.hamming import bands, pairs


def all_pairs(words: Array, distance: int) -> set[tuple[int, int]]:
    different = np.bitwise_count(words[:, None] ^ words[None])
    return {(i, j) for i, j in combinations(range(len(words)), 2) if different[i, j] <= distance}


def near(words: Array, rng: np.random.Generator, flips: int) -> Array:
    """Each word with up to so many bits turned."""
    turned = words.copy()
    for _ in range(flips):
        turned ^= np.uint64(1) << rng.integers(0, 64, len(words)).astype(np.uint64)
    return turned


@pytest.mark.parametrize("distance", [0, 1, 3, 8, 11, 16])
def test_they_are_those_that_comparing_all_finds(distance: int) -> None:
    rng = np.random.default_rng(distance)
    words = rng.integers(0, 2**64, 150, np.uint64)
    words = np.concatenate([words, near(words, rng, distance), near(words, rng, distance + 2), words[:5], words[:5]])
    found = [(int(i), int(j)) for left, right in pairs(words, distance) for i, j in zip(left, right, strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == all_pairs(words, distance)


@pytest.mark.parametrize("count", [10, 10_000, 1_000_000, 10**8])
@pytest.mark.parametrize("distance", [0, 1, 4, 8, 16])
def test_no_pair_slips_between_the_bands(count: int, distance: int) -> None:
    cut = bands(count, distance)
    assert sum(band.width for band in cut) == 64
    assert min(band.radius for band in cut) >= 0
    assert sum(band.radius + 1 for band in cut) > distance
    assert [band.shift for band in cut] == np.cumsum([0, *(band.width for band in cut[:-1])]).tolist()


def test_every_cut_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**64, 60, np.uint64)
    words = np.concatenate([words, near(words, rng, 8)])
    wanted = all_pairs(words, 8)
    for number in range(3, 10):
        monkeypatch.setattr(hamming, "bands", lambda count, distance, number=number: hamming._cut(number, distance))
        assert {(int(i), int(j)) for a, b in pairs(words, 8) for i, j in zip(a, b, strict=True)} == wanted


def test_runs_stay_small_however_many_pairs_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "RUN", 1000)
    words = np.zeros(500, np.uint64)
    sizes = [len(left) for left, _ in pairs(words, 8)]
    assert sum(sizes) == 500 * 499 // 2
    assert max(sizes) <= 1500


def test_nothing_and_one_word_have_no_pairs() -> None:
    assert not list(pairs(np.empty(0, np.uint64), 8))
    assert not list(pairs(np.ones(1, np.uint64), 8))


def test_wrong_words_are_refused() -> None:
    with pytest.raises(ValueError, match=r"words must be \(N,\) uint64, got \(2, 2\) uint64"):
        next(pairs(np.ones((2, 2), np.uint64), 8))
    with pytest.raises(ValueError, match=r"distance must be in 0\.\.16 bits, got 17"):
        bands(10, 17)
