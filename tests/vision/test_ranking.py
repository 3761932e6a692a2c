"""The best few of each row, ties and all."""

from __future__ import annotations

import numpy as np
import pytest

from vision.ranking import highest, lowest


@pytest.mark.parametrize("k", [1, 4, 9])
def test_against_a_full_sort(k: int) -> None:
    values = np.random.default_rng(0).integers(0, 5, (50, 9)).astype(np.float64)  # many ties
    assert np.array_equal(highest(values, k), np.argsort(-values, axis=1, kind="stable")[:, :k])
    assert np.array_equal(lowest(values, k), np.sort(np.argsort(values, axis=1, kind="stable")[:, :k], axis=1))


def test_no_rows() -> None:
    assert highest(np.empty((0, 7)), 3).shape == (0, 3)
