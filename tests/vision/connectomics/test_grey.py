"""Grey levels: sums that add up to the last bit, and what they make of a volume."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest

from vision.connectomics.blocks import Grid
from vision.connectomics.grey import Grey

SHAPE = (5, 30, 21)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_blocks_add_up_to_the_whole(dtype: type) -> None:
    volume = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, SHAPE).astype(dtype)
    whole = Grey.of(volume, 0, SHAPE[0])
    for size in ((2, 7, 21), (5, 30, 4), (1, 1, 1)):
        parts = [Grey.of(volume[b.write.slices], b.write.begin[0], SHAPE[0]) for b in Grid(SHAPE, size)]
        assert np.array_equal(reduce(Grey.merge, parts).sums, whole.sums)


@pytest.mark.parametrize("way", ["section", "volume"])
def test_mean_0_and_deviation_1_of_what_was_imaged(way: str) -> None:
    draws = np.random.default_rng(0)
    volume = (draws.normal(100, 10, SHAPE) + 20 * np.arange(5)[:, None, None]).astype(np.uint8)
    volume[:, :5] = 0
    volume[3] = 0
    found = Grey.of(volume, 0, 5).levels(way).apply(volume, np.arange(5))  # type: ignore[arg-type]
    assert found.dtype == np.float32
    assert not found[volume == 0].any(), "what was not imaged is the middle grey"
    seen = [found[z][volume[z] > 0] for z in (0, 1, 2, 4)]
    if way == "section":
        assert all(abs(one.mean()) < 1e-3 and abs(one.std() - 1) < 1e-3 for one in seen)
    else:
        together = np.concatenate(seen)
        assert abs(together.mean()) < 1e-3 and abs(together.std() - 1) < 1e-3
        assert seen[0].mean() < -0.5 and seen[3].mean() > 0.5


def test_a_crop_is_normalised_as_in_the_volume() -> None:
    volume = np.random.default_rng(0).integers(1, 200, SHAPE).astype(np.uint8)
    levels = Grey.of(volume, 0, 5).levels("section")
    whole = levels.apply(volume, np.arange(5))
    assert np.array_equal(levels.apply(volume[2:4, 5:9, 3:8], np.arange(2, 4)), whole[2:4, 5:9, 3:8])


def test_what_cannot_be_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8 or uint16"):
        Grey.of(np.ones(SHAPE, np.float32), 0, 5)
    with pytest.raises(ValueError, match="no voxel above 0"):
        Grey.zero(5).levels("section")
    with pytest.raises(ValueError, match="normalise must be section or volume"):
        Grey.of(np.ones(SHAPE, np.uint8), 0, 5).levels("patch")  # type: ignore[arg-type]
