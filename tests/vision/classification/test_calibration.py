"""Reliability and calibration error, row by row."""

from __future__ import annotations

import numpy as np
import pytest

from vision.accumulator import Array, Batch
from vision.classification.calibration import Calibration
from vision.intervals import wilson
from vision.reliability import bins


def batch_of(score: Array, right: Array) -> Batch:
    wrong = (~right).astype(np.int64)
    return {"label": np.zeros_like(wrong), "predicted_label": wrong, "answered": right | True, "predicted_score": score}


def test_bins_are_open_below_and_closed_above() -> None:
    assert bins(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 0.2, 0.999, 1.0, 1 + 1e-7])).tolist() == [0, 0, 1, 2, 14, 14, 14]


def test_the_reliability_table_is_that_of_its_rows() -> None:
    generator = np.random.default_rng(0)
    score = generator.uniform(0.2, 1.0, 3000)
    correct = generator.random(3000) < score
    table = Calibration().update(batch_of(score, correct)).tables()["reliability"]
    assert table.schema.metadata == {b"plot": b'{"kind": "reliability"}'}
    assert sum(table["n"].to_pylist()) == 3000
    for row in table.to_pylist():
        inside = (score > row["low"]) & (score <= row["high"])
        right = correct[inside]
        assert row["n"] == inside.sum()
        assert row["mean_score"] == pytest.approx(score[inside].mean(), abs=1e-9)
        assert row["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
        assert (row["accuracy_low"], row["accuracy_high"]) == wilson(int(right.sum()), int(inside.sum()))


def test_a_calibrated_model_may_be_one() -> None:
    generator, zero = np.random.default_rng(0), 0
    for _ in range(60):
        score = generator.beta(5, 1.5, 500)
        right = generator.random(500) < score
        estimate = Calibration().update(batch_of(score, right)).compute()["calibration_error"]
        overconfident = Calibration().update(batch_of(score**0.25, right)).compute()["calibration_error"]
        zero += estimate.low == 0.0
        assert overconfident.low > 0.05
    assert zero >= 54


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.15])
def test_the_interval_covers_the_error_of_the_bins(shift: float) -> None:
    generator, held = np.random.default_rng(1), 0
    score = generator.uniform(0.3, 1.0, 60_000)  # the same gap in every bin, so that binning hides nothing
    assert bins(score).min() == 4
    for rows in np.split(np.arange(60_000), 60):
        right = generator.random(1000) < score[rows] - shift
        estimate = Calibration().update(batch_of(score[rows], right)).compute()["calibration_error"]
        held += estimate.low <= shift <= estimate.high
    assert held >= 51
