"""Targets against loops over voxels: boundaries, affinities near and far, what is unknown, labels made thinner."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tests.neurites import Array
from vision.connectomics.targets import UNKNOWN, UNTAUGHT, affinities, boundaries, eroded, parse_offsets

OFFSETS = ((-1, 0, 0), (0, -1, 0), (0, 0, 1), (0, 3, -2), (-2, 0, 0), (0, -40, 0))


def labels() -> Array:
    """A few blobs, walls, and some voxels that nobody knows."""
    draws = np.random.default_rng(1)
    found = np.repeat(np.repeat(draws.integers(0, 4, (4, 5, 6)), 2, axis=1), 2, axis=2)
    found[draws.random(found.shape) < 0.1] = UNKNOWN
    return found.astype(np.int64)


def test_affinities_are_those_of_a_loop() -> None:
    truth = labels()
    found = affinities(truth, OFFSETS)
    for channel, offset in zip(found, OFFSETS, strict=True):
        for place in product(*map(range, truth.shape)):
            other = tuple(p + o for p, o in zip(place, offset, strict=True))
            inside = all(0 <= o < n for o, n in zip(other, truth.shape, strict=True))
            if not inside or UNKNOWN in (truth[place], truth[other]):
                assert channel[place] == UNTAUGHT
            else:
                assert channel[place] == (truth[place] == truth[other] != 0)
    assert {0, 1, UNTAUGHT} <= set(np.unique(found[0]))
    assert (found[-1] == UNTAUGHT).all(), "an offset beyond the volume teaches nothing"


@pytest.mark.parametrize("axes", [(1, 2), (0, 1, 2)])
def test_boundaries_are_those_of_a_loop(axes: tuple[int, ...]) -> None:
    truth = labels()
    found = boundaries(truth, axes)
    for place in product(*map(range, truth.shape)):
        near = []
        for axis, step in product(axes, (-1, 1)):
            other = list(place)
            other[axis] += step
            if 0 <= other[axis] < truth.shape[axis]:
                near.append(int(truth[tuple(other)]))
        wanted = truth[place] == 0 or any(one not in (truth[place], UNKNOWN) for one in near)
        assert found[place] == (UNTAUGHT if truth[place] == UNKNOWN else wanted)


def test_a_mask_of_cells_teaches_its_membranes() -> None:
    inside = np.ones((1, 6, 6), np.int64)
    inside[0, :, 2:4] = 0
    found = boundaries(inside)[0]
    assert (found[:, 1:5] == 1).all() and not found[:, [0, 5]].any(), "membranes, and the rim of cells beside them"


def test_eroded_labels_keep_away_from_others_by_so_many_voxels() -> None:
    truth = np.ones((2, 9, 9), np.int64)
    truth[:, :, 4:] = 2
    truth[1, 0, 0] = UNKNOWN
    for by in range(4):
        found = eroded(truth, by)
        assert (found[:, :, 4 - by : 4 + by] == 0).all()
        assert (found[0, :, : 4 - by] == 1).all() and (found[0, :, 4 + by :] == 2).all()
        assert found[1, 0, 0] == UNKNOWN and found[1, 0, 1] == (0 if by > 2 else 1), "what is unknown erodes nothing"
    assert np.array_equal(eroded(truth, 0), truth)


@pytest.mark.parametrize("text", ["", "-1,0", "0,0,0", "0,1,0;0,1,0", "a,b,c", "1.5,0,0"])
def test_offsets_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="offsets"):
        parse_offsets(text)


def test_offsets_are_parsed() -> None:
    assert parse_offsets("-1,0,0; 0,-9,0 ;0,0,27;") == ((-1, 0, 0), (0, -9, 0), (0, 0, 27))
