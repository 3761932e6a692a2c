"""Plateaus and drops are found where they were put, and nowhere else."""

from __future__ import annotations

import numpy as np

from vision.curves import events


def noisy(losses: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    return list(losses + np.random.default_rng(0).normal(0, 0.02, len(losses)))


def test_a_flat_middle_and_a_cut_of_the_learning_rate_are_found() -> None:
    steps = np.arange(1600)
    losses = np.where(steps < 400, 2.3 - steps / 400 * 0.8, 1.5)
    losses = np.where(steps >= 1000, 0.9, losses)
    found = events(list(steps), noisy(losses), rate_cuts=[1000])
    plateaus = [e for e in found if e.kind == "plateau"]
    drops = [e for e in found if e.kind == "drop"]
    assert any(abs(e.first - 400) <= 80 and abs(e.last - 1000) <= 80 for e in plateaus)
    assert [abs(e.last - 1000) <= 40 for e in drops] == [True]
    assert "the loss falls from 1.494 to 0.899" in str(drops[0])


def test_a_steady_fall_has_neither() -> None:
    steps = np.arange(2000)
    assert events(list(steps), noisy(2.3 - steps / 2000 * 2)) == []


def test_a_short_curve_says_nothing_and_a_constant_one_is_a_plateau() -> None:
    assert events([1, 2, 3], [3.0, 2.0, 1.0]) == []
    (only,) = events(list(range(100)), [1.0] * 100)
    assert (only.kind, only.first, only.last) == ("plateau", 0, 99)
