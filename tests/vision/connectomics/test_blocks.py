"""The grid: every voxel is written once, faces meet, ids tell their block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.connectomics.blocks import Box, Grid

sizes = st.tuples(*[st.integers(1, 9)] * 3)
halos = st.tuples(*[st.integers(0, 4)] * 3)


@given(sizes, sizes, halos)
@settings(max_examples=60, deadline=None)
def test_every_voxel_is_written_by_one_block_that_reads_it(shape, size, halo) -> None:
    grid, written = Grid(shape, size, halo), np.zeros(shape, np.int64)
    whole = np.arange(written.size).reshape(shape)
    for block in grid:
        written[block.write.slices] += 1
        read = whole[block.read.slices]
        assert np.array_equal(read[block.core], whole[block.write.slices])
        assert grid.number(grid.index(block.number)) == block.number
        for low, high, begin, end, reach in zip(*block.read, *block.write, halo, strict=True):
            assert begin - low <= reach and high - end <= reach
    assert (written == 1).all()
    assert len(list(grid)) == len(grid) == int(np.prod(grid.counts))


@given(sizes, sizes)
@settings(max_examples=60, deadline=None)
def test_every_pair_of_neighbours_is_inside_a_block_or_over_one_face(shape, size) -> None:
    grid = Grid(shape, size)
    for axis in range(3):
        met = np.zeros(shape, np.int64)  # by the upper voxel of the pair
        for block in grid:
            inner = met[block.write.slices]
            inner[tuple(slice(1, None) if i == axis else slice(None) for i in range(3))] += 1
            for face in grid.faces(block.number):
                if face.axis == axis:
                    assert face.lower.shape == face.upper.shape and face.lower.shape[axis] == 1
                    assert np.subtract(face.upper.begin, face.lower.begin).tolist() == [
                        int(i == axis) for i in range(3)
                    ]
                    assert face.lower.meet(grid.block(face.below).write) == face.lower
                    met[face.upper.slices] += 1
        assert (np.take(met, range(1, shape[axis]), axis) == 1).all()
        assert (np.take(met, [0], axis) == 0).all()


@given(sizes, sizes, st.tuples(*[st.integers(-3, 9)] * 3), sizes)
@settings(max_examples=60, deadline=None)
def test_blocks_over_a_box_are_those_that_write_into_it(shape, size, begin, extent) -> None:
    grid, box = Grid(shape, size), Box(begin, tuple(b + e for b, e in zip(begin, extent, strict=True)))
    assert list(grid.over(box)) == [block.number for block in grid if block.write.meet(box).voxels]


def test_ids_tell_their_block_and_never_meet() -> None:
    grid = Grid((7, 5, 9), (3, 2, 4))
    local = np.arange(grid.voxels_per_block + 1)
    ids = [grid.ids(block.number, local) for block in grid]
    kept = np.concatenate([found[1:] for found in ids])
    assert all(found[0] == 0 for found in ids) and len(np.unique(kept)) == len(kept)
    for block, found in zip(grid, ids, strict=True):
        assert (grid.owner(found[1:]) == block.number).all()
        assert (int(found[1]), int(found[-1]) + 1) == grid.id_range(block.number)


def test_a_cubic_millimetre_costs_no_memory() -> None:
    grid = Grid((33_333, 200_000, 200_000), (32, 256, 256), (8, 16, 16))
    assert len(grid) == 1042 * 782 * 782
    last = grid.block(len(grid) - 1)
    assert (
        last.write.end == grid.shape and grid.owner(np.array([grid.id_range(last.number)[0]], np.uint64)) == last.number
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Grid((0, 4, 4), (2, 2, 2)), "shape of a grid must be three whole numbers from 1"),
        (lambda: Grid((4, 4, 4), (2, 2)), "size of a grid"),
        (lambda: Grid((4, 4, 4), (2, 2, 2), (-1, 0, 0)), "halo of a grid"),
        (lambda: Grid((2**21, 2**21, 2**21), (64, 64, 64)), "do not fit into 63 bits"),
        (lambda: Grid((4, 4, 4), (2, 2, 2)).block(8), "there is no block 8: the grid has 8"),
        (lambda: Grid((4, 4, 4), (2, 2, 2)).number((0, 2, 0)), "no block at"),
        (lambda: Grid((4, 4, 4), (2, 2, 2)).ids(0, np.array([9])), "a local id is at most 8, got 9"),
    ],
)
def test_what_is_wrong_is_said(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        make()
