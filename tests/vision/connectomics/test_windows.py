"""The highest value in a window: SciPy's filter is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter

from vision.connectomics.windows import highest

SIDES = st.tuples(*[st.integers(1, 12)] * 3)


@given(st.integers(0, 2**32), SIDES, SIDES)
@settings(max_examples=150, deadline=None)
def test_it_is_the_filter_of_scipy(seed: int, shape: tuple[int, int, int], size: tuple[int, int, int]) -> None:
    """Also where a window is wider than the volume, and for few levels, which make plateaus."""
    values = np.random.default_rng(seed).integers(0, 7, shape).astype(np.float32)
    np.testing.assert_array_equal(highest(values, size), maximum_filter(values, size))


def test_pieces_do_not_show() -> None:
    """A volume of several pieces along z and y."""
    values = np.random.default_rng(3).random((70, 61, 300), np.float32)
    before = values.copy()
    np.testing.assert_array_equal(highest(values, (10, 10, 10)), maximum_filter(values, 10))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("size", [(0, 2, 2), (2, 2)])
def test_a_window_that_is_none(size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a window must have three sides from 1 for \(z, y, x\), got \("):
        highest(np.zeros((2, 2, 2)), size)
