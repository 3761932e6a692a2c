"""Linear and kNN probes against scikit-learn, and what few-shot draws promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vision.accumulator import Array
from vision.classification.neighbours import Distance, fit_neighbours
from vision.classification.probe import Scale, answers, fit_linear
from vision.classification.shots import ShotCurve, check_enough, ranks
from vision.ranking import lowest


def blobs(n: int, classes: int = 4, size: int = 12, noise: float = 1.0, seed: int = 0) -> tuple[Array, Array]:
    """(n, size) float32 points round a centre for each class, and their labels."""
    centres = np.random.default_rng(99).normal(0, 1, (classes, size))
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    return (centres[labels] + generator.normal(0, noise, (n, size))).astype(np.float32), labels


def shares(log_scores: Array) -> Array:
    """Log-scores as probabilities."""
    scores = np.exp(log_scores - log_scores.max(axis=1, keepdims=True))
    return np.asarray(scores / scores.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("l2", [0.001, 0.01, 1.0])
def test_the_linear_probe_is_scikit_learns_logistic_regression(l2: float) -> None:
    oracle = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    features, labels = blobs(150)
    features = features * np.linspace(0.1, 30, 12, dtype=np.float32) + 5
    scaled = (features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)) / features.std(
        axis=0, dtype=np.float64
    )
    theirs = oracle.LogisticRegression(C=1 / (l2 * len(features)), tol=1e-9, max_iter=5000).fit(scaled, labels)
    ours = fit_linear(features, labels, 4, l2)
    assert ours.steepest < 2e-5
    assert np.abs(ours.weights - theirs.coef_.T).max() < 1e-3 * np.abs(theirs.coef_).max()
    assert np.abs(shares(ours(features)) - theirs.predict_proba(scaled)).max() < 1e-4


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neighbours_are_scikit_learns(distance: Distance) -> None:
    oracle = pytest.importorskip("sklearn.neighbors", reason="scikit-learn is not installed")
    features, labels = blobs(300, noise=2.0)
    asked, _ = blobs(70, noise=2.0, seed=1)
    for k in (1, 4, 300):
        theirs = oracle.KNeighborsClassifier(k, metric=distance, algorithm="brute").fit(features, labels)
        ours = fit_neighbours(features, labels, 4, k, distance)(asked)
        assert np.abs(np.exp(ours) - theirs.predict_proba(asked)).max() < 1e-12
        assert (ours.argmax(axis=1) == theirs.predict(asked)).all()


def test_blocks_of_examples_and_questions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from vision.classification import neighbours

    features, labels = blobs(200, noise=2.0)
    whole = fit_neighbours(features, labels, 4, 7)(features)
    monkeypatch.setattr(neighbours, "_EXAMPLES", 9)
    monkeypatch.setattr(neighbours, "_QUESTIONS", 5)
    assert (fit_neighbours(features, labels, 4, 7)(features) == whole).all()


def test_equally_far_examples_count_in_their_order() -> None:
    features = np.ones((20, 3), np.float32) * np.float32(0.1)
    labels = np.array([2] * 3 + [1] * 17)
    for distance in ("cosine", "euclidean"):
        votes = np.exp(fit_neighbours(features, labels, 3, 4, distance)(features[:2]))
        assert votes.tolist() == [[0.0, 0.25, 0.75]] * 2
    assert lowest(np.array([[3.0, 1.0, 1.0, 0.0], [2.0, 2.0, 2.0, 2.0]]), 2).tolist() == [[1, 3], [0, 1]]


def test_separable_blobs_are_told_apart() -> None:
    features, labels = blobs(200, noise=0.1)
    asked, truth = blobs(100, noise=0.1, seed=1)
    for probe in (fit_linear(features, labels, 4, 0.01), fit_neighbours(features, labels, 4, 3)):
        assert (probe(asked).argmax(axis=1) == truth).all()


def test_many_blocks_fit_the_same_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    from vision.classification import probe

    features, labels = blobs(130, noise=2.0)
    whole = fit_linear(features, labels, 4, 0.1)
    again = fit_linear(features, labels, 4, 0.1)
    assert (again.weights == whole.weights).all() and (again.bias == whole.bias).all()
    monkeypatch.setattr(probe, "_BLOCK", 120)
    for held in (0, 2**20):
        monkeypatch.setattr(probe, "_HELD", held)
        assert np.abs(fit_linear(features, labels, 4, 0.1).weights - whole.weights).max() < 1e-5


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    features, labels = blobs(600, noise=2.0)
    for probe in (fit_linear(features, labels, 4, 0.1), fit_neighbours(features, labels, 4, 5)):
        whole = probe(features)
        assert (probe(features[37:561]) == whole[37:561]).all()
        assert probe(features[:0]).shape == (0, 4)


def test_a_class_without_examples_is_impossible_and_never_a_hit() -> None:
    features, labels = blobs(90, classes=3)
    truth = np.where(np.arange(90) < 9, 5, labels + 1)  # 0, 4 and 5 were never seen
    probe = fit_linear(features, labels + 1, 6, 0.01)
    columns = answers(probe(features), truth)
    top = np.array(columns["top_labels"].to_pylist())
    assert set(top[:, :3].reshape(-1).tolist()) == {1, 2, 3}
    assert (top[:, 3:] == -1).all()
    assert columns["truth_log_score"].to_pylist()[0] == -math.inf
    assert columns["score_squares"].to_pylist()[0] <= 1


def test_a_constant_feature_is_left_alone() -> None:
    features, labels = blobs(100)
    flat = np.concatenate([features, np.full((100, 1), 0.1, np.float32)], axis=1)
    assert Scale.of(flat).deviation[-1] == 1
    assert fit_linear(flat, labels, 4, 0.1).weights[-1] == pytest.approx(np.zeros(4), abs=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"labels": np.zeros(20, np.int64)}, "at least two classes, got 1"),
        ({"labels": np.arange(20) % 5}, r"labels must be in 0\.\.3, got 0\.\.4"),
        ({"l2": 0.0}, "l2 must be above 0"),
        ({"features": np.full((20, 3), np.nan)}, "finite"),
    ],
)
def test_what_cannot_be_fitted_is_said(words: dict[str, object], message: str) -> None:
    features, labels = blobs(20, size=3)
    with pytest.raises(ValueError, match=message):
        fit_linear(**{"features": features, "labels": labels, "classes": 4, "l2": 0.1, **words})  # type: ignore[arg-type]


def test_what_has_no_neighbours_is_said() -> None:
    features, labels = blobs(20)
    for k in (0, 21):
        with pytest.raises(ValueError, match=rf"k must be in 1\.\.20, the number of examples, got {k}"):
            fit_neighbours(features, labels, 4, k)
    with pytest.raises(ValueError, match="at least two classes"):
        fit_neighbours(features, labels * 0, 4, 3)
    with pytest.raises(ValueError, match="finite"):
        fit_neighbours(features * np.float32(np.inf), labels, 4, 3)


def test_draws_do_not_depend_on_order_and_lie_within_each_other() -> None:
    ids, labels = [f"{n}.jpg" for n in range(60)], np.arange(60) % 3
    places = ranks(ids, labels, seed=1, draw=0)
    assert all(sorted(places[labels == label]) == list(range(20)) for label in range(3))
    shuffled = np.random.default_rng(0).permutation(60)
    assert (ranks([ids[n] for n in shuffled], labels[shuffled], seed=1, draw=0) == places[shuffled]).all()
    others = [ranks(ids, labels, seed, draw) for seed, draw in ((1, 1), (2, 0))]
    assert all((other != places).any() for other in others)
    # Without one example the others keep their order: those after it in its class move up by one.
    fewer = ranks(ids[1:], labels[1:], seed=1, draw=0)
    moved = (labels[1:] == labels[0]) & (places[1:] > places[0])
    assert (fewer == places[1:] - moved).all()


def test_the_curve_adds_up_and_has_t_intervals() -> None:
    first = ShotCurve.zero((1, 5), 3).add(np.array([[4, 5, 6], [8, 8, 8]]), 10)
    second = ShotCurve.zero((1, 5), 3).add(np.array([[5, 5, 5], [9, 8, 10]]), 10)
    curve = first.merge(second)
    assert curve == second.merge(first)
    one = curve.compute()["top1.shots_1"]
    # shares 0.45, 0.5, 0.55; t(2) = 4.302653
    assert one.value == pytest.approx(0.5) and one.n == 3
    assert one.high - one.value == pytest.approx(4.302653 * 0.05 / math.sqrt(3), rel=1e-5)
    table = curve.tables()["few_shot"].to_pylist()
    assert [row["shots"] for row in table] == [1, 5]
    assert table[1]["worst_draw"] == 0.8 and table[1]["best_draw"] == 0.9 and table[1]["tested"] == 20
    assert ShotCurve.zero((), 3).tables() == {}


def test_more_shots_than_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="class dog has 2 labelled examples, fewer than 3"):
        check_enough(np.array([0, 0, 0, 1, 1]), (1, 3), ("cat", "dog"))
    check_enough(np.array([0, 0, 0, 1, 1]), (1, 2))
