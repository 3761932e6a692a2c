"""The confusion matrix and what it determines, against scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as oracle

from vision.accumulator import Array, Batch, Estimate
from vision.classification.confusion import Confusion
from vision.intervals import wilson

NAMES = tuple("abcdefghijkl")
K = len(NAMES)


def sample(n: int = 3000) -> tuple[Array, Array]:
    """Truths and predictions of twelve classes, of which the last is never true."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, K - 1, n)
    return truth, np.where(generator.random(n) < 0.6, truth, generator.zipf(1.5, n) % K)


def batch_of(truth: Array, prediction: Array) -> Batch:
    return {"label": truth, "predicted_label": prediction, "answered": np.ones(len(truth), bool)}


@pytest.mark.parametrize("seed", range(5))
def test_macro_means_take_the_classes_that_occur_as_scikit_learn_does(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth, prediction = generator.choice([1, 3, 4, 40], 25), generator.choice([3, 4, 5, 700], 25)
    computed = Confusion().update(batch_of(truth, prediction)).compute()
    for name in ("recall", "precision", "f1"):
        score = getattr(oracle, f"{name}_score")(truth, prediction, average="macro", zero_division=0)
        assert computed[f"macro_{name}"].value == pytest.approx(score, abs=1e-12)


def test_macro_recall_is_balanced_accuracy_where_every_predicted_class_occurs() -> None:
    truth, prediction = sample()
    kept = np.isin(prediction, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = oracle.balanced_accuracy_score(truth[kept], prediction[kept])
    computed = Confusion().update(batch_of(truth[kept], prediction[kept])).compute()
    assert computed["macro_recall"].value == pytest.approx(expected, abs=1e-12)


def test_a_label_beyond_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="label 12 is outside the 12 classes"):
        Confusion(NAMES).update(batch_of(np.array([0, 1]), np.array([0, 12])))


def test_the_class_table_is_scikit_learns_report() -> None:
    label, prediction = sample()
    table = Confusion(NAMES).update(batch_of(label, prediction)).tables()["classes"]
    report = oracle.classification_report(
        label, prediction, labels=np.arange(K), output_dict=True, zero_division=np.nan
    )
    assert table["name"].to_pylist() == list(NAMES)
    for row in table.to_pylist():
        expected = report[str(row["class"])]
        assert row["n"] == expected["support"]
        assert row["precision"] == pytest.approx(expected["precision"])
        assert row["f1"] == pytest.approx(expected["f1-score"])
        if row["n"]:
            assert row["accuracy"] == pytest.approx(expected["recall"])
            assert row["low"] <= row["accuracy"] <= row["high"]
        else:
            assert row["accuracy"] is None  # class 11 is predicted, and never true
    assert table["n"].to_pylist()[-1] == 0


def test_the_confusion_table_is_scikit_learns_matrix() -> None:
    label, prediction = sample()
    tables = Confusion(NAMES).update(batch_of(label, prediction)).tables()
    matrix = np.zeros((K, K), int)
    for row in tables["confusion"].to_pylist():
        matrix[row["truth"], row["prediction"]] = row["count"]
    assert (matrix == oracle.confusion_matrix(label, prediction, labels=np.arange(K))).all()
    np.fill_diagonal(matrix, 0)
    most = tables["most_confused"].to_pylist()
    assert [row["count"] for row in most] == sorted(matrix.ravel(), reverse=True)[:20]
    assert most[0]["pair"] == "{} → {}".format(*(NAMES[most[0][c]] for c in ("truth", "prediction")))
    assert most[0]["share"] == most[0]["count"] / (label == most[0]["truth"]).sum()


def test_without_names_classes_are_called_by_number() -> None:
    table = Confusion().update(batch_of(*sample(50))).tables()["classes"]
    assert table["name"].to_pylist() == [str(c) for c in table["class"].to_pylist()]


def test_all_right_still_leaves_doubt() -> None:
    label = np.arange(50) % 3
    assert Confusion().update(batch_of(label, label)).compute()["macro_f1"] == Estimate(1.0, *wilson(50, 50), 50)


def test_macro_intervals_cover_with_few_images_a_class() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(60):
        truth = generator.integers(0, 50, 250)
        prediction = np.where(generator.random(250) < 0.8, truth, generator.integers(0, 50, 250))
        estimate = Confusion().update(batch_of(truth, prediction)).compute()["macro_f1"]
        held += estimate.low <= 0.8 + 0.2 / 50 <= estimate.high  # that of the confusions it is drawn from
    assert held >= 52
