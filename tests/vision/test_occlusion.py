"""Occlusion: every pixel is covered, maps say what a place is worth, and a planted cue is found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.accumulator import Array
from vision.occlusion import Occlusion, share_within

BOX = (20, 8, 32, 20)
"""x0, y0, x1, y1 of the cue."""


def picture(seed: int, side: int = 48) -> Array:
    """Noise with a bright square in it."""
    pixels = np.random.default_rng(seed).integers(60, 120, (side, side, 3))
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2], 0] += 120
    return pixels.astype(np.uint8)


def redness(pictures: Sequence[Array]) -> Array:
    """A net that answers by the red in the box alone: log-probabilities."""
    red = np.array([one[BOX[1] : BOX[3], BOX[0] : BOX[2], 0].mean() for one in pictures]) / 10 - 15
    return -np.log1p(np.exp(-red))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(40, 90), st.integers(40, 90))
def test_places_cover_every_pixel_and_are_as_many_as_the_formula_says(
    square: int, stride: int, high: int, wide: int
) -> None:
    method = Occlusion(square, min(stride, square))
    for edges, side in zip(method.grid((high, wide)), (high, wide), strict=True):
        assert len(edges) == -(-(side - square) // method.stride) + 1
        covered = np.zeros(side, bool)
        for edge in edges:
            assert 0 <= edge <= side - square
            covered[edge : edge + square] = True
        assert covered.all()


@pytest.mark.parametrize("fill", ["mean", "grey", "black"])
def test_a_planted_cue_is_found(fill: str) -> None:
    method = Occlusion(8, 4, fill)  # type: ignore[arg-type]
    area = (BOX[2] - BOX[0]) * (BOX[3] - BOX[1]) / 48**2
    for seed in range(5):
        pixels = picture(seed)
        heat = method.heat(method.map(pixels, float(redness([pixels])[0]), redness), (48, 48))
        # Squares that only touch the cue spread some of it round the box.
        assert share_within(heat, BOX) > 0.4 > 6 * area
        around = (BOX[0] - 8, BOX[1] - 8, BOX[2] + 8, BOX[3] + 8)
        assert share_within(heat, around) == pytest.approx(1.0)


def test_a_map_is_what_each_cover_costs_in_the_order_of_places() -> None:
    method, pixels = Occlusion(16, 5, "white"), picture(0)
    tops, lefts = method.grid((48, 48))
    assert len(tops) * len(lefts) == 64 == method.passes((48, 48)) and len(method.map(pixels, 0.0, redness)) == 64
    covered = pixels.copy()
    covered[tops[1] : tops[1] + 16, lefts[4] : lefts[4] + 16] = 255
    score = float(redness([pixels])[0])
    drop = method.map(pixels, score, redness)[1 * len(lefts) + 4]
    assert drop == pytest.approx(score - redness([covered])[0], rel=1e-6) and drop < 0  # white is redder than the cue


def test_copies_are_made_some_at_a_time_and_the_picture_stays_as_it_was() -> None:
    sizes: list[int] = []

    def count(pictures: Sequence[Array]) -> Array:
        sizes.append(len(pictures))
        return np.zeros(len(pictures))

    pixels = picture(1)
    before = pixels.copy()
    assert len(Occlusion(4, 2).map(pixels, 0.0, count)) == 23 * 23 == sum(sizes)
    assert max(sizes) == 256 and (pixels == before).all()


def test_the_mean_cover_changes_no_mean() -> None:
    seen: list[Array] = []
    flat = np.full((32, 32, 3), (10, 200, 77), np.uint8)
    Occlusion(16, 16).map(flat, 0.0, lambda pictures: np.zeros(len(seen.extend(pictures) or pictures)))
    assert all((one == flat).all() for one in seen) and len(seen) == 4


def test_heat_is_the_mean_of_the_places_that_cover_a_pixel() -> None:
    method = Occlusion(2, 1)
    heat = method.heat(np.array([1.0, 2.0, 3.0, 4.0]), (3, 3))
    assert heat.tolist() == [[1, 1.5, 2], [2, 2.5, 3], [3, 3.5, 4]]
    with pytest.raises(ValueError, match=r"a map of 3 x 3 has 4 places, got \(5,\)"):
        method.heat(np.zeros(5), (3, 3))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="stride must be 1 to 8, the square's side, or pixels stay uncovered; got 9"):
        Occlusion(8, 9)
    with pytest.raises(ValueError, match="fill is one of mean, grey, black, white, got 'blue'"):
        Occlusion(8, 4, "blue")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a square of 33 pixels does not fit into 32 x 64"):
        Occlusion(33, 4).check((32, 64))
    assert np.isnan(share_within(np.zeros((4, 4)), (0, 0, 2, 2)))
