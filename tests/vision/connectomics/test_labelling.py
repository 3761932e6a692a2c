"""Blockwise labelling equals that of the whole, up to names."""

from __future__ import annotations

import numpy as np
import pytest

from tests import neurites
from tests.em import SIZES, faces, renamed
from tests.neurites import Array
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.labelling import components, facing, label_block
from vision.connectomics.relabel import Lookup
from vision.connectomics.unionfind import consecutive, joined

WHOLE = Box((0, 0, 0), (90, 100, 110))


def by_blocks(values: Array, grid: Grid) -> tuple[Array, Lookup]:
    found, pairs = np.zeros(values.shape, np.uint64), [np.empty((0, 2), np.uint64)]
    for block in grid:
        found[block.write.slices] = label_block(values[block.write.slices], grid, block.number)
    for face in faces(grid):
        low, high = face.lower.slices, face.upper.slices
        pairs.append(facing(found[low], found[high], values[low], values[high]))
    return found, consecutive(joined(np.unique(found[found > 0]), np.concatenate(pairs)))


@pytest.fixture(scope="module")
def neurons() -> Array:
    return neurites.labels(WHOLE)


def test_crops_of_the_generator_have_the_bits_of_the_whole(neurons: Array) -> None:
    noisy = neurites.boundary(WHOLE, noise=60)
    for box in (Box((3, 5, 7), (50, 60, 70)), Box((89, 0, 0), (90, 100, 110)), Box((10, 99, 2), (11, 100, 3))):
        assert np.array_equal(neurites.labels(box), neurons[box.slices])
        assert np.array_equal(neurites.boundary(box, noise=60), noisy[box.slices])
    assert not np.array_equal(neurites.labels(WHOLE, seed=1), neurons)


def test_neurites_are_as_hard_as_promised(neurons: Array) -> None:
    """Fibres cross the faces of all axes, and the two arms of a neuron meet in few slices only."""
    for axis in range(3):
        low, high = np.take(neurons, 47, axis), np.take(neurons, 48, axis)
        assert len(np.unique(low[(low == high) & (low > 0)])) > 5
    whole = components(neurons)
    for slab in (slice(30, 40), slice(50, 60)):  # what is apart within ten slices is one through others
        assert len(np.unique(whole[slab])) - 1 < 0.8 * components(neurons[slab]).max()
    assert neurons.max() > 2**40


@pytest.mark.parametrize("size", SIZES)
def test_blocks_give_what_the_whole_gives(neurons: Array, size: tuple[int, int, int]) -> None:
    found, lookup = by_blocks(neurons, Grid(neurons.shape, size))
    whole = components(neurons)
    assert renamed(lookup.apply(found), whole)
    assert int(lookup.values.max()) == whole.max() == len(np.unique(lookup.values))


@pytest.mark.parametrize("backend", ["skimage", "bioimage-cpp"])
def test_voxels_connect_if_they_have_one_value(backend) -> None:
    """Against SciPy, value by value; both libraries number alike."""
    from scipy.ndimage import label

    values = np.random.default_rng(3).integers(0, 3, (15, 16, 17)).astype(np.uint64) << np.uint64(50)
    found = components(values, backend)
    assert found.dtype == np.uint32 and np.array_equal(found, components(values, "skimage"))
    assert found.max() == sum(label(values == value)[1] for value in np.unique(values) if value)
    assert ((found == 0) == (values == 0)).all()
    mask = values == values.max()
    assert np.array_equal(components(mask, backend), components(mask.astype(np.uint8), backend))
    assert renamed(np.where(values == values.max(), found, 0), label(values == values.max())[0])


def test_a_mask_needs_no_values() -> None:
    mask = np.random.default_rng(4).random((20, 21, 22)) < 0.35
    grid, found = Grid(mask.shape, (8, 9, 7)), np.zeros(mask.shape, np.uint64)
    for block in grid:
        found[block.write.slices] = label_block(mask[block.write.slices], grid, block.number, "bioimage-cpp")
    pairs = [facing(found[face.lower.slices], found[face.upper.slices]) for face in faces(grid)]
    lookup = joined(np.unique(found[found > 0]), np.concatenate(pairs))
    assert renamed(lookup.apply(found), components(mask))
    assert (lookup.values <= lookup.ids).all()  # the smallest id is the root


def test_only_volumes_are_labelled() -> None:
    with pytest.raises(ValueError, match=r"must be \(z, y, x\), got shape \(3, 3\)"):
        components(np.ones((3, 3), bool))
