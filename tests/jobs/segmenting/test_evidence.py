"""What says where boundaries are: which channels of affinities are read, and how they become bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs.segmenting.evidence import Evidence, as_bytes, nearest_of
from jobs.spec import JobFailed
from vision.accumulator import Array
from vision.connectomics.blocks import Box
from vision.corpora.volumes import Address

zarr = pytest.importorskip("zarr")

SHAPE = (12, 20, 28)
BOX = Box((2, 0, 5), (12, 17, 28))
OFFSETS = "0,-9,0;0,0,-1;-1,0,0;0,-1,0"


def evidence(place: str, in_section: bool = False) -> Evidence:
    return Evidence(None, Address(place), nearest_of(OFFSETS, 4), in_section, None, None, Box((0, 0, 0), SHAPE))


def stored(place: str, values: Array, channels: int) -> None:
    made = zarr.create_array(place, shape=values.shape, dtype=values.dtype, chunks=(channels, 8, 8, 8))
    made[:] = values


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("in_section", [False, True])
def test_a_boundary_is_one_minus_the_mean_of_the_nearest(channels: int, in_section: bool) -> None:
    values = np.random.default_rng(1).random((4, *SHAPE)).astype(np.float32)
    stored("a.zarr", values, channels)
    reader = evidence("a.zarr", in_section).open()
    wanted = np.rint(values[[2, 3, 1]] * np.float32(255)).astype(np.uint8)[(slice(None), *BOX.slices)]
    np.testing.assert_array_equal(reader.affinities(BOX), wanted)
    used = wanted[1:] if in_section else wanted
    mean = 255 - np.floor(used.sum(axis=0, dtype=np.int64) / len(used) + 0.5)
    np.testing.assert_array_equal(reader.boundary(BOX), mean.astype(np.uint8))


def test_far_channels_are_never_read() -> None:
    """Their chunks are no chunks; those of the nearest are needed."""
    values = np.random.default_rng(1).random((4, *SHAPE)).astype(np.float32)
    stored("a.zarr", values, 1)
    for chunk in Path("a.zarr/c/0").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"nothing")
    reader = evidence("a.zarr").open()
    assert reader.boundary(BOX).shape == BOX.shape and reader.affinities(BOX).shape == (3, *BOX.shape)
    Path("a.zarr/c/1/0/0/0").write_bytes(b"nothing")
    with pytest.raises(JobFailed, match="cannot be read"):
        reader.boundary(BOX)


@pytest.mark.parametrize("wrong", [-0.001, 1.001, np.nan])
def test_floats_that_are_no_probabilities(wrong: float) -> None:
    values = np.full((2, 3, 4), 0.5, np.float32)
    values[1, 2, 3] = wrong
    with pytest.raises(JobFailed, match=r"here holds .* to .*; probabilities are 0\.\.1, or bytes 0\.\.255"):
        as_bytes(values, "here")
