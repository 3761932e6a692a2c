"""The paired bootstrap of metrics that are no means: against the suite's values, and against repeated samples."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from vision.accumulator import Array, Batch
from vision.classification import metrics, per_cell
from vision.comparison import within, worse
from vision.redrawn import DRAWS, PairedRedrawn, draws

CLASSES = 8


def answers(generator: np.random.Generator, n: int, right: float, changed: float) -> tuple[Batch, Batch]:
    """Two models; the second answers `changed` of the images anew, as well as the first."""
    label = generator.integers(0, CLASSES, n)

    def anew() -> Array:
        return np.where(generator.random(n) < right, label, generator.integers(0, CLASSES, n))

    first = anew()
    second = np.where(generator.random(n) < changed, anew(), first)
    scores = np.clip(generator.beta(8, 2, n), 0, 1)
    both = [
        {"label": label, "predicted_label": p, "predicted_score": scores, "answered": np.ones(n, bool)}
        for p in (first, second)
    ]
    return both[0], both[1]


def beside(metric: str, first: Batch, second: Batch, ids: Array) -> tuple[PairedRedrawn, Batch]:
    kind = per_cell(metric)
    assert kind is not None
    batch = {"draws": draws(ids), "count": np.ones(len(ids), np.int64)}
    for name, side in (("baseline", first), ("candidate", second)):
        batch[f"{name}_cell"] = kind.cell(side)
        batch[f"{name}_amount"] = np.zeros(len(ids)) if kind.amount is None else kind.amount(side)
    return PairedRedrawn(kind), batch


def names(n: int, seed: int = 0) -> Array:
    return np.array([f"{seed}/{number}" for number in range(n)], object)


@pytest.mark.parametrize("metric", ["macro_recall", "macro_precision", "macro_f1", "calibration_error"])
def test_values_are_those_of_the_suite(metric: str) -> None:
    first, second = answers(np.random.default_rng(0), 3000, 0.7, 0.3)
    zero, batch = beside(metric, first, second, names(3000))
    found = zero.update(batch).compute()
    for name, side in (("baseline", first), ("candidate", second)):
        assert found[name].value == pytest.approx(metrics.suite().update(side).compute()[metric].value, abs=1e-6)
    assert found["difference"].value == pytest.approx(found["candidate"].value - found["baseline"].value)
    assert found["difference"].low < found["difference"].value < found["difference"].high


def test_any_split_in_any_order_is_the_same_to_the_last_bit() -> None:
    first, second = answers(np.random.default_rng(1), 700, 0.7, 0.3)
    zero, batch = beside("calibration_error", first, second, names(700))
    whole = zero.update(batch)
    parts = np.array_split(np.random.default_rng(2).permutation(700), 9)
    states = [zero.update({name: values[rows] for name, values in batch.items()}) for rows in parts]
    merged = reduce(PairedRedrawn.merge, states[::-1])
    assert merged == whole
    assert merged.compute() == whole.compute()
    assert merged.tail(-0.01, below=True) == whole.tail(-0.01, below=True)


def test_the_error_is_that_of_repeated_samples() -> None:
    generator, values, errors = np.random.default_rng(3), [], []
    for seed in range(60):
        first, second = answers(generator, 1500, 0.7, 0.3)
        zero, batch = beside("macro_recall", first, second, names(1500, seed))
        difference = zero.update(batch).difference()
        values.append(difference.value)
        errors.append((difference.high - difference.low) / 2 / 1.97)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.3)
    held = np.abs(np.array(values)) <= 1.97 * np.array(errors)
    assert held.mean() >= 0.87


def test_the_two_ways_of_asking_are_complements_and_margins_count() -> None:
    first, second = answers(np.random.default_rng(4), 2000, 0.7, 0.3)
    zero, batch = beside("macro_recall", first, second, names(2000))
    state = zero.update(batch)
    assert worse(state, 0.01) + within(state, 0.01) == pytest.approx(1)
    assert worse(state, 0.02) > worse(state, 0.01)
    assert within(state, 0.1) < 1e-3


def test_the_same_answers_do_not_differ() -> None:
    first, _ = answers(np.random.default_rng(5), 500, 0.7, 0.3)
    zero, batch = beside("macro_f1", first, first, names(500))
    difference = zero.update(batch).difference()
    assert difference[:3] == (0.0, 0.0, 0.0)


def test_nothing_seen_is_not_a_number() -> None:
    kind = per_cell("macro_f1")
    assert kind is not None
    assert np.isnan(PairedRedrawn(kind).difference().value)
    assert per_cell("top1") is None
    assert draws(names(3)).shape == (3, DRAWS + 1)
