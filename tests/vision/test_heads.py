"""Heads on features: what they come to, what scaling must not change, and softmaxes as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax as reference

from vision import auxiliary
from vision.accumulator import Array
from vision.classification.learning import Objective
from vision.heads import fit, head
from vision.softmax import log_softmax

LEARN = Objective(3, ("a", "b", "c"))


def examples(count: int = 240, noise: float = 0.4) -> tuple[Array, Array]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, count)
    return (np.eye(3, 6)[labels] + generator.normal(0, noise, (count, 6))).astype(np.float32), labels


def fitted(features: Array, labels: Array, **changed: Any) -> Array:
    """The logits of a fitted head for its own examples."""
    torch.set_num_threads(1)
    found = fit(features, labels, LEARN, 3, **{"epochs": 30, "batch_size": 64, **changed})
    logits: Array = found(torch.from_numpy(features)).numpy()
    return logits


def test_it_comes_to_what_the_convex_problem_has() -> None:
    from sklearn.linear_model import LogisticRegression

    features, labels = examples(noise=1.0)  # no line divides them, so that there is a best one
    logits = fitted(features, labels, epochs=200, weight_decay=0.0)
    best = LogisticRegression(C=1e6, max_iter=2000).fit(features, labels)
    mine = -log_softmax(logits.astype(np.float64))[np.arange(len(labels)), labels].mean()
    theirs = -np.log(best.predict_proba(features)[np.arange(len(labels)), labels]).mean()
    assert theirs <= mine + 1e-9 and mine < theirs + 0.01


@pytest.mark.parametrize("width", [0, 8])
def test_units_of_features_change_nothing(width: int) -> None:
    features, labels = examples()
    moved = (features * np.array([1000, 1, 0.01, 3, 1, 1]) + np.array([0, 500, 0, 0, -7, 0])).astype(np.float32)
    assert np.abs(fitted(features, labels, width=width) - fitted(moved, labels, width=width)).max() < 0.05


def test_a_feature_that_never_varies_says_nothing() -> None:
    features, labels = examples()
    features[:, 5] = 1e6
    assert np.isfinite(fitted(features, labels)).all()


def test_the_same_examples_give_the_same_head() -> None:
    assert np.array_equal(fitted(*examples()), fitted(*examples()))
    assert not np.array_equal(fitted(*examples()), fitted(*examples(), seed=1))


def test_it_tells_how_it_goes() -> None:
    told: dict[int, dict[str, float]] = {}
    fit(*examples(), LEARN, 3, epochs=5, say=told.__setitem__)
    assert list(told) == [1, 2, 3, 4, 5] and list(told[1]) == ["loss", "top1"]
    assert told[5]["loss"] < told[1]["loss"] <= np.log(3) + 1e-6 and told[5]["top1"] > 0.6


def test_what_is_refused() -> None:
    features, labels = examples()
    with pytest.raises(ValueError, match="with N targets"):
        fit(features, labels[:3], LEARN, 3)
    with pytest.raises(ValueError, match="features must be finite"):
        fit(features * np.nan, labels, LEARN, 3)
    with pytest.raises(ValueError, match="optimizer must be one of"):
        fit(features, labels, LEARN, 3, optimizer="lion")


def test_shapes() -> None:
    assert [tuple(p.shape) for p in head(6, 3).parameters()] == [(3, 6), (3,)]
    assert [tuple(p.shape) for p in head(6, 3, 8).parameters()] == [(8, 6), (8,), (3, 8), (3,)]


def test_log_softmax() -> None:
    logits = np.random.default_rng(0).normal(0, 50, (20, 7))
    assert np.allclose(log_softmax(logits), reference(logits, axis=1), rtol=1e-12)
    assert np.isfinite(log_softmax(logits * 1e30)).all()


def test_auxiliary_heads() -> None:
    assert auxiliary.heads("logits") == [(1.0, "logits")]
    assert auxiliary.heads(("logits", None, "second")) == [(1.0, "logits"), (0.3, "second")]
