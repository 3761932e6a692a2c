"""Confident learning: as its formulas and its authors' package say, for any shards, from all classes or the best."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest

from vision.accumulator import Array
from vision.fairness.confident import NOBODY, UNKNOWN, Joint, Scores, Thresholds, guesses, of_all, of_best

CLASSES = 6


def noisy(n: int = 3000, seed: int = 0, noise: float = 0.1) -> tuple[Array, Array, Array]:
    """Labels of which some are wrong, (N, K) probabilities of a fair model, and which labels are wrong."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, CLASSES, n)
    wrong = rng.random(n) < noise
    given = np.where(wrong, (true + rng.integers(1, CLASSES, n)) % CLASSES, true)
    logits = rng.normal(0, 1, (n, CLASSES))
    logits[np.arange(n), true] += 4
    p = np.exp(logits)
    return given, p / p.sum(axis=1, keepdims=True), wrong


def ids(n: int) -> Array:
    return np.array([f"{number:05d}" for number in range(n)], object)


def joint(given: Array, scores: Scores, most: int = 20) -> Joint:
    thresholds = Thresholds().update(given, scores).values()
    return Joint(thresholds, most).update(ids(len(given)), given, scores)


def test_thresholds_and_joint_are_those_of_the_formulas() -> None:
    given, p, _ = noisy()
    found = joint(given, of_all(p, given))
    limits = np.array([p[given == k, k].mean() for k in range(CLASSES)])
    assert found.thresholds == pytest.approx(limits, abs=1e-8)
    table = np.zeros((CLASSES, CLASSES), int)
    for label, row in zip(given, p, strict=True):
        confident = [k for k in range(CLASSES) if row[k] >= limits[k] - 1e-6]
        if confident:
            table[label, max(confident, key=lambda k: row[k])] += 1
    assert {(i, j): n for i, j, n in found.pairs()} == {
        (i, j): int(table[i, j]) for i in range(CLASSES) for j in range(CLASSES) if i != j and table[i, j]
    }
    scaled = table / table.sum(axis=1, keepdims=True) * np.bincount(given)[:, None]
    noise = found.noise()
    assert noise.value == pytest.approx(1 - np.trace(scaled) / scaled.sum())
    assert noise.low < noise.value < noise.high


def test_noise_that_was_planted_is_estimated_and_its_rows_are_found() -> None:
    for planted in (0.02, 0.1, 0.25):
        given, p, wrong = noisy(6000, noise=planted)
        found = joint(given, of_all(p, given), most=10_000)
        estimate = found.noise()
        assert estimate.value == pytest.approx(planted, abs=0.03)
        suspects = np.isin(ids(6000), found.ids)
        assert found.doubted == suspects.sum() == len(found.ids)
        assert wrong[suspects].mean() > 0.9
        assert suspects[wrong].mean() > 0.5


def test_the_authors_package_says_the_same() -> None:
    count = pytest.importorskip("cleanlab.count")
    filtering = pytest.importorskip("cleanlab.filter")
    given, p, _ = noisy(2000, seed=3)
    # Rows with several confident classes, of which the likeliest is none, are counted differently there.
    limits = count.get_confident_thresholds(given, p)
    confident = p >= limits - 1e-6
    alike = ~((confident.sum(axis=1) > 1) & ~confident[np.arange(len(p)), p.argmax(axis=1)])
    assert alike.mean() > 0.95
    found = Joint(limits, 10_000).update(ids(2000)[alike], given[alike], of_all(p[alike], given[alike]))
    table = count.compute_confident_joint(given[alike], p[alike], thresholds=limits, calibrate=False)
    assert {(i, j): n for i, j, n in found.pairs()} == {
        (i, j): int(table[i, j]) for i in range(CLASSES) for j in range(CLASSES) if i != j and table[i, j]
    }
    assert Thresholds().update(given, of_all(p, given)).values() == pytest.approx(limits, abs=1e-8)
    whole = joint(given, of_all(p, given), 10_000)
    wanted = filtering.find_label_issues(given, p, filter_by="confident_learning")
    assert (np.isin(ids(2000), whole.ids)[alike] == wanted[alike]).all()


def test_any_split_of_the_rows_adds_up_to_the_same() -> None:
    given, p, _ = noisy(900)
    whole = joint(given, of_all(p, given), 5)
    for parts in (3, 17):
        order = np.random.default_rng(parts).permutation(900)
        pieces = np.array_split(order, parts)
        sums = [Thresholds().update(given[part], of_all(p[part], given[part])) for part in pieces]
        thresholds = reduce(Thresholds.merge, sums).values()
        assert (thresholds == whole.thresholds).all()
        zero = Joint(thresholds, 5)
        states = [zero.update(ids(900)[part], given[part], of_all(p[part], given[part])) for part in pieces]
        merged = reduce(Joint.merge, states, zero)
        assert merged.cells == whole.cells and merged.doubted == whole.doubted
        for name in ("ids", "given", "likely", "own", "other"):
            assert (getattr(merged, name) == getattr(whole, name)).all()
    assert np.bincount(whole.given).max() == 5


def best(p: Array, given: Array, top: int) -> Scores:
    order = np.argsort(-p, axis=1, kind="stable")[:, :top]
    return of_best(order, np.take_along_axis(p, order, axis=1), given, p[np.arange(len(p)), given])


@pytest.mark.parametrize("top", [1, 2, 3, CLASSES])
def test_the_best_classes_are_enough_where_it_matters(top: int) -> None:
    given, p, _ = noisy()
    limits = Thresholds().update(given, of_all(p, given)).values()
    all_found, _ = guesses(of_all(p, given), limits)
    found, _ = guesses(best(p, given, top), limits)
    known = found != UNKNOWN
    assert (found[known] == all_found[known]).all()
    assert known.mean() > (0.6 if top == 1 else 0.95)
    assert known.all() or top < CLASSES


def test_a_class_that_nobody_has_is_never_likely() -> None:
    p = np.array([[0.9, 0.0, 0.1], [0.8, 0.1, 0.1], [0.0, 0.1, 0.9]])
    given = np.array([0, 0, 0])
    found = joint(given, of_all(p, given))
    assert found.pairs() == []
    assert found.unknown == 0
    assert guesses(of_all(p, given), found.thresholds)[0].tolist() == [0, 0, NOBODY]


@pytest.mark.parametrize(
    ("p", "given", "message"),
    [
        ([[2.0, -1.0]], [0], "must be 0 or more and add up to 1"),
        ([[3.0, 1.0]], [0], "must be 0 or more and add up to 1"),
        ([[np.nan, 1.0]], [0], "must be 0 or more and add up to 1"),
        ([[0.5, 0.5]], [2], "labels must be classes 0 to 1, got 2 to 2"),
    ],
)
def test_what_is_no_probability_is_refused(p: Any, given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_all(np.array(p), np.array(given))


def test_nothing_has_no_noise_and_no_limits() -> None:
    scores = of_all(np.empty((0, 3)), np.empty(0, np.int64))
    found = joint(np.empty(0, np.int64), scores)
    assert found.n == 0 and np.isnan(found.noise().value)
