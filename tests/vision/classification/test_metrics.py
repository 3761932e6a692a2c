"""The classification suite against scikit-learn, torchmetrics and plain counting."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_calibration_error

from vision.accumulator import Array, Batch, ByGroup, Estimate
from vision.classification import suite as front_door
from vision.classification.calibration import Calibration
from vision.classification.metrics import Brier, CrossEntropy, TopK, suite
from vision.corpus import Corpus
from vision.intervals import wilson

K = 12


def probabilities_of(generator: np.random.Generator, n: int, k: int = K, sharpness: float = 2.0) -> Array:
    logits = generator.normal(0, sharpness, (n, k))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def answers(probabilities: Array, label: Array, answered: Array | None = None) -> Batch:
    """What a predictor writes for these probabilities (N, K)."""
    answered = np.ones(len(label), bool) if answered is None else answered
    order = np.argsort(-probabilities, axis=1, kind="stable")
    of_truth = probabilities[np.arange(len(label)), np.maximum(label, 0)]
    return {
        "id": np.arange(len(label)).astype(str).astype(object),
        "label": label,
        "answered": answered,
        "count": np.ones(len(label), np.int64),
        "predicted_label": np.where(answered, order[:, 0], -1),
        "predicted_score": np.where(answered, probabilities.max(axis=1), np.nan),
        "predicted_top_labels": np.where(answered[:, None], order[:, :5], -1),
        "predicted_truth_log_score": np.where(answered & (label >= 0), np.log(of_truth), np.nan),
        "predicted_score_squares": np.where(answered, (probabilities**2).sum(axis=1), np.nan),
    }


def sample(n: int = 3000, seed: int = 0) -> tuple[Array, Array, Array]:
    """Probabilities, truths drawn from them two times out of three, and predictions."""
    generator = np.random.default_rng(seed)
    probabilities = probabilities_of(generator, n)
    drawn = (probabilities.cumsum(axis=1) > generator.random((n, 1))).argmax(axis=1)
    label = np.where(generator.random(n) < 0.67, drawn, generator.integers(0, K, n))
    return probabilities, label, probabilities.argmax(axis=1)


def test_the_whole_suite_agrees_with_scikit_learn() -> None:
    probabilities, label, prediction = sample()
    computed = suite(tuple("abcdefghijkl")).update(answers(probabilities, label)).compute()
    kinds: dict[str, Any] = {"average": "macro", "zero_division": 0}
    labels = np.arange(K)
    expected = {
        "top1": oracle.accuracy_score(label, prediction),
        "top1_all": oracle.accuracy_score(label, prediction),
        "top5": oracle.top_k_accuracy_score(label, probabilities, k=5, labels=labels),
        "cross_entropy": oracle.log_loss(label, probabilities, labels=labels),
        "macro_recall": oracle.recall_score(label, prediction, **kinds),
        "macro_precision": oracle.precision_score(label, prediction, **kinds),
        "macro_f1": oracle.f1_score(label, prediction, **kinds),
        "brier": oracle.brier_score_loss(label, probabilities, labels=labels, scale_by_half=False),
    }
    assert {name: computed[name].value for name in expected} == pytest.approx(expected, abs=1e-9)
    assert set(computed) == {*expected, "calibration_error"}
    assert {estimate.n for estimate in computed.values()} == {3000}


def test_accuracy_and_calibration_agree_with_torchmetrics() -> None:
    probabilities, label, _ = sample()
    computed = suite().update(answers(probabilities, label)).compute()
    scores, truth = torch.tensor(probabilities), torch.tensor(label)
    error = multiclass_calibration_error(scores, truth, num_classes=K, n_bins=15, norm="l1")
    assert computed["calibration_error"].value == pytest.approx(float(error), abs=1e-6)
    for k in (1, 5):
        accuracy = multiclass_accuracy(scores, truth, num_classes=K, average="micro", top_k=k)
        assert computed[f"top{k}"].value == pytest.approx(float(accuracy), abs=1e-6)


def test_errors_and_rows_without_truth_are_not_counted_but_for_top1_all() -> None:
    probabilities, label, _ = sample(200)
    answered, known = np.arange(200) % 10 > 0, np.arange(200) % 7 > 0
    whole = suite().update(answers(probabilities, np.where(known, label, -1), answered)).compute()
    kept = answered & known
    some = suite().update(answers(probabilities[kept], label[kept])).compute()
    assert {n: v for n, v in whole.items() if n != "top1_all"} == {n: v for n, v in some.items() if n != "top1_all"}
    hits, n = round(some["top1"].value * kept.sum()), int(known.sum())
    assert whole["top1_all"] == Estimate(hits / n, *wilson(hits, n), n)


def test_absent_columns_leave_their_metrics_out() -> None:
    probabilities, label, _ = sample(100)
    full = answers(probabilities, label)
    bare = {name: full[name] for name in ("id", "label", "answered", "count", "predicted_label")}
    assert set(suite().update(bare).compute()) == {"top1", "top1_all", "macro_recall", "macro_precision", "macro_f1"}
    empty = {
        **bare,
        "predicted_score": np.full(100, np.nan),
        "predicted_top_labels": np.full((100, 5), -1),
        "predicted_truth_log_score": np.full(100, np.nan),
        "predicted_score_squares": np.full(100, np.nan),
    }
    assert suite().update(bare) == suite().update(empty)
    narrow = {**full, "predicted_top_labels": full["predicted_top_labels"][:, :3]}
    assert "top5" not in suite().update(narrow).compute()


def test_what_some_rows_lack_is_measured_on_the_others() -> None:
    probabilities, label, _ = sample(100)
    batch = dict(answers(probabilities, label))
    batch["predicted_truth_log_score"] = np.where(np.arange(100) < 40, np.nan, batch["predicted_truth_log_score"])
    computed = suite().update(batch).compute()
    rest = suite().update({name: values[40:] for name, values in batch.items()}).compute()
    assert computed["cross_entropy"] == rest["cross_entropy"]
    assert computed["brier"].n == 60
    assert computed["top1"].n == 100


def test_only_errors_are_nan_and_not_absent() -> None:
    probabilities, label, _ = sample(5)
    computed = suite().update(answers(probabilities, label, np.zeros(5, bool))).compute()
    assert {name for name, estimate in computed.items() if math.isnan(estimate.value)} == {*computed} - {"top1_all"}
    assert computed["top1_all"] == Estimate(0.0, *wilson(0, 5), 5)


@pytest.mark.parametrize(("classes", "present"), [(5, False), (6, True), (None, True)])
def test_top5_is_left_out_where_it_is_always_right(classes: int | None, present: bool) -> None:
    names = None if classes is None else tuple(str(c) for c in range(classes))
    assert ("top5" in front_door(Corpus(name="x", classes=names)).compute()) == present


def test_an_answer_without_a_label_is_refused() -> None:
    probabilities, label, _ = sample(5)
    batch = {**answers(probabilities, label), "predicted_label": np.array([1, -1, 2, -1, 0])}
    with pytest.raises(ValueError, match="2 answered rows have no predicted label"):
        TopK().update(batch)


@pytest.mark.parametrize(
    ("column", "state"), [("predicted_score", Calibration()), ("predicted_truth_log_score", Brier())]
)
def test_what_is_no_probability_is_refused(column: str, state: Any) -> None:
    probabilities, label, _ = sample(3)
    batch = {**answers(probabilities, label), column: np.array([0.5, 17.5, 0.1])}
    with pytest.raises(ValueError, match=r"got (17\.5|0\.5)"):
        state.update(batch)


def test_a_truth_thought_impossible_makes_cross_entropy_infinite() -> None:
    probabilities, label, _ = sample(10)
    batch = dict(answers(probabilities, label))
    batch["predicted_truth_log_score"] = np.array([-math.inf, *batch["predicted_truth_log_score"][1:]])
    estimate = CrossEntropy().update(batch).compute()["cross_entropy"]
    assert estimate.value == math.inf
    assert math.isnan(estimate.high)
    assert estimate.n == 10
    assert math.isfinite(Brier().update(batch).compute()["brier"].value)


def test_means_have_the_t_interval() -> None:
    probabilities, label, _ = sample(500)
    losses = -np.log(probabilities[np.arange(500), label])
    half = 1.96473 * losses.std(ddof=1) / math.sqrt(500)
    estimate = suite().update(answers(probabilities, label)).compute()["cross_entropy"]
    assert estimate[1:3] == pytest.approx((losses.mean() - half, losses.mean() + half), abs=1e-5)


def test_a_million_answers_of_a_thousand_classes_take_about_a_second() -> None:
    generator, n = np.random.default_rng(0), 10**6
    label = generator.integers(0, 1000, n)
    top = generator.integers(0, 1000, (n, 5))
    top[:, 0] = np.where(generator.random(n) < 0.75, label, top[:, 0])
    batch = {
        "id": np.arange(n).astype(object),
        "label": label,
        "answered": generator.random(n) < 0.99,
        "count": np.ones(n, np.int64),
        "predicted_label": top[:, 0],
        "predicted_score": generator.random(n),
        "predicted_top_labels": top,
        "predicted_truth_log_score": np.log(generator.random(n) + 1e-12).clip(max=0),
        "predicted_score_squares": generator.random(n),
        "group": np.array(["a", "b", None], object)[generator.integers(0, 3, n)],
    }
    zero = suite(tuple(str(c) for c in range(1000)))
    started = time.process_time()
    zero.update(batch)
    ByGroup(zero, ("group",)).update(batch)
    assert time.process_time() - started < 3.0
