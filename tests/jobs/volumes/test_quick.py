"""zarr read by tensorstore: the voxels that zarr-python reads, and a segmentation of the same bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.segment import Segment
from jobs.spec import JobFailed
from jobs.volumes import quick
from jobs.volumes.opening import opened
from tests import neurites
from tests.making import tree
from vision.accumulator import Array
from vision.connectomics.blocks import Box

zarr = pytest.importorskip("zarr")
pytest.importorskip("tensorstore")

SHAPE = (20, 33, 47)
BOX = Box((3, 0, 21), (20, 25, 47))

KINDS: tuple[dict[str, Any], ...] = (
    {"chunks": (8, 16, 16)},
    {"chunks": (8, 8, 8), "shards": (16, 16, 32)},
    {"chunks": (8, 16, 16), "zarr_format": 2},
    {"chunks": (8, 16, 16), "compressors": None},
)


@pytest.fixture
def by_zarr() -> Iterator[pytest.MonkeyPatch]:
    """Reads as where tensorstore is not installed, until it is undone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorstore", None)
        yield patch


def made(name: str, dtype: str = "uint16", **how: Any) -> Array:
    """A stored array of which some chunks were never written."""
    values = np.random.default_rng(5).integers(0, 200, SHAPE).astype(dtype)
    values[:, 16:32] = 0
    array = zarr.create_array(name, shape=SHAPE, dtype=dtype, **how)
    array[:, :16], array[:, 32:] = values[:, :16], values[:, 32:]
    return values


@pytest.mark.parametrize("how", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint64", "float32", "bool"])
def test_a_box_is_that_of_the_array(dtype: str, how: dict[str, Any]) -> None:
    values = made("v.zarr", dtype, **how)
    assert quick.opened(zarr.open("v.zarr"), str(Path("v.zarr").absolute())) is not None
    found = opened("v.zarr", "volume").read(BOX)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values[BOX.slices])


def test_without_tensorstore_and_with_codecs_that_it_does_not_know(by_zarr: pytest.MonkeyPatch) -> None:
    values = made("v.zarr", **KINDS[0])
    np.testing.assert_array_equal(opened("v.zarr", "volume").read(BOX), values[BOX.slices])
    by_zarr.undo()
    from zarr.codecs.numcodecs import Delta

    values = made("odd.zarr", chunks=(8, 16, 16), filters=[Delta(dtype="uint16")])
    assert quick.opened(zarr.open("odd.zarr"), str(Path("odd.zarr").absolute())) is None
    np.testing.assert_array_equal(opened("odd.zarr", "volume").read(BOX), values[BOX.slices])


def test_channels_are_read_one_by_one_or_together() -> None:
    values = np.random.default_rng(2).random((5, *SHAPE)).astype(np.float32)
    np.savez("v.npz", a=values)
    for name, chunks in (("apart", (1, 8, 16, 16)), ("together", (5, 8, 16, 16))):
        zarr.create_array(name, shape=values.shape, dtype="float32", chunks=chunks)[:] = values
    for name, stored in (("apart", 1), ("together", 5), ("v.npz", 1)):
        found = opened(name, "affinities")
        assert found.volume.together == stored
        for channel, part in zip((3, 1), found.channels(BOX, (3, 1)), strict=True):
            np.testing.assert_array_equal(part, values[(channel, *BOX.slices)])
        np.testing.assert_array_equal(found.read(BOX), values[(slice(None), *BOX.slices)])


@pytest.mark.parametrize("shards", [None, (16, 16, 32)])
def test_a_torn_chunk_is_one_line(shards: tuple[int, ...] | None) -> None:
    made("v.zarr", chunks=(8, 8, 8), shards=shards)
    for chunk in Path("v.zarr/c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(JobFailed, match=r"v.zarr: voxels 3:20,0:25,21:47 cannot be read: ") as told:
        opened("v.zarr", "volume").read(BOX)
    assert "\n" not in str(told.value)


def test_a_segmentation_has_the_same_bytes(by_zarr: pytest.MonkeyPatch) -> None:
    pytest.importorskip("bioimage_cpp")
    box = Box((0, 0, 0), (40, 48, 56))
    array = zarr.create_array("b.zarr", shape=box.shape, dtype="uint8", chunks=(16, 16, 16))
    array[:] = neurites.boundary(box, noise=90)
    for name in ("slow", "quick"):
        Segment(
            boundaries="b.zarr", output=name, block=(32,), halo=(8,), workers=0, thresholds=(0.3,), method="threshold"
        ).run()
        by_zarr.undo()
    assert tree("slow") == tree("quick")
