"""Crops bent like rubber: picture and labels alike, as far as asked, the same for the same key."""

from __future__ import annotations

import numpy as np
import pytest

from tests.neurites import Array
from vision.connectomics.targets import UNKNOWN
from vision.connectomics.varying import Variation
from vision.connectomics.warping import SPACING, displacement, warped
from vision.draws import mix


def ramps(axis: int, beyond: int = 0, side: int = 90) -> tuple[Array, Array]:
    """A picture whose grey levels are places along an axis, and labels that are the same places and 1000 more."""
    image = np.stack([np.indices((side, side), np.float32)[axis]] * 3)
    at = np.indices((side + 2 * beyond, side + 2 * beyond))[axis] - beyond
    return image, np.stack([at.astype(np.int64) + 1000] * 3)


@pytest.mark.parametrize("beyond", [0, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_labels_come_from_where_the_picture_comes_from(axis: int, beyond: int) -> None:
    image, labels = ramps(axis, beyond)
    found, ids = warped(image, labels, mix(3), 0.25)
    inner = ids[:, beyond : beyond + 90, beyond : beyond + 90]
    known = inner != UNKNOWN
    assert np.abs(found - (inner - 1000))[known].max() <= 0.5 + 1e-4, "the nearest label"
    assert np.abs(found - image)[known].max() > 2, "and from elsewhere"
    assert not found[~known].any() and 0.8 < known.mean() < 1
    assert np.array_equal(ids[0], ids[2]), "all sections alike"


def test_what_lies_beyond_the_picture_keeps_its_own_labels() -> None:
    """Targets reach beyond a crop: there labels are those of the places they are bent from, where there are any."""
    image, labels = ramps(0, 20)
    _, ids = warped(image, labels, mix(5), 0.1)
    bent = displacement(labels.shape[1:], mix(5), 0.1 * SPACING)[0]
    band = np.ones(labels.shape[1:], bool)
    band[20:-20, 20:-20] = False
    there = band & (ids[0] != UNKNOWN)
    places = np.arange(labels.shape[1])[:, None] + bent - 20 + 1000
    assert there.sum() > 0.8 * band.sum()
    assert np.abs(ids[0] - places)[there].max() <= 0.5


def test_moves_are_smooth_and_as_large_as_asked() -> None:
    moves = np.stack([displacement((160, 160), mix(1, n), 4.0) for n in range(60)])
    spread = moves.std(axis=(0, 2, 3))
    # Of four splines in a row, squares of weights add up to 0.479 on average along each axis.
    assert np.allclose(spread, 4 * 0.479, rtol=0.1)
    assert np.abs(np.diff(moves, axis=2)).max() < 0.8 and np.abs(np.diff(moves, axis=3)).max() < 0.8
    assert abs(moves.mean()) < 0.15


def test_the_same_key_bends_the_same_way_and_ids_stay_whole() -> None:
    image, _ = ramps(0)
    labels = np.random.default_rng(0).integers(2**60, 2**62, image.shape)
    one, other, third = (warped(image, labels, mix(*key), 0.1) for key in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
    assert not np.array_equal(one[0], third[0])
    assert set(np.unique(one[1])) <= {UNKNOWN, *np.unique(labels).tolist()}


def test_it_is_a_variation_like_the_others() -> None:
    image, labels = ramps(1)
    changed, moved = Variation.parse(("contrast", "elastic"), (3, 90, 90)).apply(image, labels, mix(0, 0, 4))
    again, _ = Variation.parse(("elastic:0.2", "contrast:0.3"), (3, 90, 90)).apply(image, labels, mix(0, 0, 4))
    assert np.array_equal(changed, again), "the words have an order of their own and a usual strength"
    assert not np.array_equal(moved, labels)
    with pytest.raises(ValueError, match="'elastic:3': its number must be above 0 and at most 1"):
        Variation.parse(("elastic:3",), (1, 90, 90))
