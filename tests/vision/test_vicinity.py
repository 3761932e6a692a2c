"""Spots near each other in place or in time: against plain loops over pairs, for any sharding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import pytest

from vision.accumulator import Array
from vision.intervals import wilson
from vision.sphere import great_circle_km
from vision.vicinity import Spots, near_places, near_times

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Within:
    """Moments of somebody within some seconds."""

    seconds: float

    def near(self, references: Array, asked: Array) -> Array:
        return near_times(references, asked, self.seconds)

    def together(self, spots: Array) -> Array:
        who: Array = spots[:, 0]
        return who


def some(n: int, seed: int) -> Array:
    """(n, 2) int64: who of 12, and when."""
    generator = np.random.default_rng(seed)
    return np.stack([generator.integers(0, 12, n), generator.integers(-50, 200, n)], axis=1)


def by_pairs(references: Array, asked: Array, seconds: float) -> list[bool]:
    return [any(who == w and abs(when - t) <= seconds for w, t in references.tolist()) for who, when in asked.tolist()]


@pytest.mark.parametrize("seconds", [0, 1, 2.5, 10, 1000])
def test_moments_near_each_other_are_those_of_plain_pairs(seconds: float) -> None:
    references, asked = some(200, 1), some(150, 2)
    found = near_times(references, asked, seconds).tolist()
    assert found == by_pairs(references, asked, seconds)
    assert any(found) and (not all(found) or seconds == 1000)


def test_nothing_is_near_nothing() -> None:
    assert near_times(some(0, 0), some(3, 0), 1e9).tolist() == [False] * 3
    assert near_times(some(3, 0), some(0, 0), 1e9).tolist() == []
    assert near_places(np.empty((0, 2)), np.zeros((2, 2)), 1e9).tolist() == [False] * 2


def test_places_near_each_other_are_those_of_plain_distances() -> None:
    generator = np.random.default_rng(0)
    references, asked = (np.stack([generator.uniform(60, 61, n), generator.uniform(-1, 1, n)], 1) for n in (50, 80))
    asked[:10, 1] = 179.999
    references[0] = asked[0] * [1, -1]  # over the antimeridian
    pairs = great_circle_km(np.repeat(asked, 50, 0), np.tile(references, (80, 1))).reshape(80, 50)
    for km in (0.3, 5.0, 40.0, 19_000.0, 20_016.0):
        assert np.array_equal(near_places(references, asked, km), pairs.min(axis=1) <= km)
    found = near_places(references, asked, 5.0)
    assert found[0] and 10 < found.sum() < 75
    assert near_places(asked, asked, 0.0).all() and near_places(references, asked, 20_016.0).all()
    opposite = asked * [-1, 1] + [0, 180]
    assert not near_places(opposite[:1], asked[:1], 20_014.0).any()


def state(rows: dict[str, Array], parts: int) -> Spots:
    """The spots of splits, counted in parts; every tenth row is not known."""
    found = []
    for split, spots in rows.items():
        for part in np.array_split(np.arange(len(spots)), parts):
            found.append(Spots().update(split, spots[part], part % 10 != 0))
    return reduce(lambda one, other: other.merge(one), found)


def test_rows_that_leak_are_those_of_plain_pairs_for_any_sharding() -> None:
    rows = {split: some(120, seed) for seed, split in enumerate(SPLITS)}
    known = {split: spots[np.arange(120) % 10 != 0] for split, spots in rows.items()}
    whole, near = state(rows, 1), Within(3)
    for parts in (2, 7, 120):
        again = state(rows, parts)
        assert all(np.array_equal(again.counts[split], whole.counts[split]) for split in SPLITS)
        assert again.missing == whole.missing == dict.fromkeys(SPLITS, 12)
    for others in (["train"], ["train", "val"], None):
        references = np.concatenate([known[name] for name in others or ("train", "val")])
        marks = np.array(by_pairs(references, known["test"], 3))
        found = whole.leaked(["test"], near, others)
        assert (found.rows, found.n, found.missing) == (marks.sum(), 108, 12)
        spots = {tuple(spot) for spot in known["test"][marks].tolist()}
        assert {tuple(spot) for spot in whole.shared("test", near, others).tolist()} == spots
        assert (found.hits, found.values) == (len(spots), len({tuple(spot) for spot in known["test"].tolist()}))
    every = whole.leaked(SPLITS, near)
    assert every.rows == sum(whole.leaked([split], near).rows for split in SPLITS)


def test_what_leaks_together_is_no_independent_evidence() -> None:
    crowd = np.stack([np.zeros(100, np.int64), np.arange(100)], axis=1)  # all of one person
    alone = np.stack([np.arange(100), np.zeros(100, np.int64)], axis=1)
    of_one, of_many = (
        Spots().update("test", spots, np.ones(100, bool)).leaked(["test"], Within(0)).share for spots in (crowd, alone)
    )
    assert (of_one.value, of_many.value) == (0, 0)
    assert of_one.high == pytest.approx(wilson(0, 1)[1]) and of_many.high == pytest.approx(wilson(0, 100)[1])
