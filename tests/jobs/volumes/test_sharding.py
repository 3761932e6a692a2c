"""A block as a shard: the bytes that zarr-python writes, and voxels that every reader finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.spec import JobFailed
from jobs.volumes.opening import opened
from jobs.volumes.writing import Target
from vision.accumulator import Array
from vision.connectomics.blocks import Box, Grid

zarr = pytest.importorskip("zarr")

SHAPE, BLOCK = (70, 33, 250), (48, 33, 125)
KINDS = (("uint64", 0), ("uint8", 0), ("uint8", 3), ("uint16", 0), ("float32", 2), ("int32", 0))


def values_of(dtype: str, channels: int) -> Array:
    """Few ids in large pieces, and boxes of zeros."""
    shape = (*([channels] if channels else []), *SHAPE)
    values = np.random.default_rng(1).integers(0, 5, shape)
    values = values.repeat(6, axis=-1)[..., : SHAPE[-1]]
    values[..., :16, :, :60] = 0
    return (values * (3**30 if dtype == "uint64" else 1)).astype(dtype)


def written(name: str, dtype: str, channels: int) -> tuple[Target, Array]:
    target = Target(name, Grid(SHAPE, BLOCK), dtype, channels=channels)
    target.begin()
    return target, values_of(dtype, channels)


def shards(name: str) -> dict[str, bytes]:
    return {str(p.relative_to(name)): p.read_bytes() for p in Path(name, "0", "c").rglob("*") if p.is_file()}


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
def test_the_bytes_are_those_of_zarr(dtype: str, channels: int) -> None:
    ours, values = written("ours", dtype, channels)
    written("theirs", dtype, channels)
    array: Any = zarr.open_array("theirs", path="0", mode="r+")
    writer = ours.writer()
    for block in ours.grid:
        digest = writer.write(block, values[(..., *block.write.slices)])
        array[(..., *block.write.slices)] = values[(..., *block.write.slices)]
        assert bool(digest) == Path("ours", ours.file(block.number)).exists()
    assert shards("ours") == shards("theirs") and len(shards("ours")) == len(ours.grid)
    np.testing.assert_array_equal(opened("ours", "labels").read(Box((0, 0, 0), SHAPE)), values)
    np.testing.assert_array_equal(zarr.open_array("ours", path="0")[:], values)


def test_zeros_are_no_file_and_take_away_what_was_there() -> None:
    target, values = written("v", "uint64", 0)
    block, writer = target.grid.block(1), target.writer()
    assert writer.write(block, values[block.write.slices]) and len(shards("v")) == 1
    assert writer.write(block, np.zeros(block.write.shape, np.uint64)) == "" and not shards("v")
    assert writer.write(block, None) == ""


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (np.zeros((2, 2, 2), np.uint64), r"block 0 must be \(48, 33, 125\), got \(2, 2, 2\)"),
        (np.zeros(BLOCK), r"block 0 must hold uint64, got float64"),
    ],
)
def test_what_does_not_fit(wrong: Array, line: str) -> None:
    target, _ = written("v", "uint64", 0)
    with pytest.raises(JobFailed, match=line):
        target.writer().write(target.grid.block(0), wrong)
