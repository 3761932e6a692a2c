"""Patches: they cover, they blend to what the whole gives, and blocks do not show."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from tests import neurites
from tests.neurites import Array
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.tiles import Blend, Tiling, Weighting

SHAPE = (13, 29, 31)


def nosy(patch: Array) -> Array:
    """A "network" of two outputs that sees beyond any margin: each answer depends on the whole patch."""
    values = patch / 255
    return np.stack(
        [values, np.clip(values * 0.5 + 0.3 * values.mean() + 0.1 * np.indices(values.shape)[2] / 40, 0, 1)]
    )


def blended(tiling: Tiling, volume: Array, box: Box, weighting: Weighting = "bump", backward: bool = False) -> Array:
    blend, read = Blend(tiling, box, 2, weighting), tiling.reads(box)
    part = volume[read.slices]
    for patch in list(tiling.patches(box))[:: -1 if backward else 1]:
        blend.add(patch, nosy(tiling.cut(part, read.begin, patch)))
    return blend.result()


@pytest.mark.parametrize("weighting", get_args(Weighting))
@pytest.mark.parametrize("size", [(5, 9, 31), (13, 8, 8), (4, 29, 7)])
def test_a_voxel_does_not_depend_on_its_block(size: Zyx, weighting: Weighting) -> None:
    volume = neurites.boundary(Box((0, 0, 0), SHAPE), noise=100)
    tiling = Tiling(SHAPE, (8, 16, 16), (1, 2, 2), (3, 6, 6))
    whole = blended(tiling, volume, Box((0, 0, 0), SHAPE), weighting)
    for block in Grid(SHAPE, size):
        found = blended(tiling, volume, block.write, weighting, backward=block.number % 2 == 1)
        assert np.array_equal(found, whole[:, *block.write.slices])
    assert whole.std() > 20


def test_patches_with_margin_enough_give_what_one_pass_gives() -> None:
    """A filter of 5 voxels in the section: with a margin of 2 its patches are the whole, mirrored at the ends."""
    volume = neurites.boundary(Box((0, 0, 0), SHAPE), noise=100)
    tiling, box = Tiling(SHAPE, (3, 15, 12), (0, 2, 2), (1, 4, 3)), Box((0, 0, 0), SHAPE)
    blend = Blend(tiling, box, 1)
    for patch in tiling.patches(box):
        seen = tiling.cut(volume, (0, 0, 0), patch)
        blend.add(patch, uniform_filter(seen / 255, (1, 5, 5), mode="nearest")[None])
    expected = uniform_filter(volume / 255, (1, 5, 5), mode="mirror")
    assert np.abs(blend.result()[0] - expected * 255).max() <= 0.51


extents = st.integers(1, 40)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_patches_lie_on_one_grid_and_cover_every_voxel(data: st.DataObject) -> None:
    shape, patch, margin, overlap = [], [], [], []
    for _ in range(3):
        shape.append(data.draw(extents))
        margin.append(data.draw(st.integers(0, 3)))
        overlap.append(data.draw(st.integers(0, 4)))
        patch.append(2 * margin[-1] + overlap[-1] + data.draw(st.integers(1, 9)))
    tiling = Tiling(*(tuple(v) for v in (shape, patch, margin, overlap)))  # type: ignore[arg-type]
    for axis in range(3):
        begins, kept = tiling.begins(axis), tiling.trusted[axis]
        assert begins[0] == 0 and begins[-1] == max(0, shape[axis] - kept) and begins == sorted(set(begins))
        assert all(b + kept - c >= overlap[axis] for b, c in itertools.pairwise(begins))
    begin = [data.draw(st.integers(0, n - 1)) for n in shape]
    box = Box(tuple(begin), tuple(data.draw(st.integers(b + 1, n)) for b, n in zip(begin, shape, strict=True)))
    met = [patch for patch in tiling.patches(Box((0, 0, 0), tiling.shape)) if patch.write.meet(box).voxels]
    assert list(tiling.patches(box)) == met
    seen = np.zeros(shape, bool)
    for one in met:
        seen[one.write.slices] = True
        assert one.read.shape == tuple(patch)
    assert seen[box.slices].all()
    if min(shape) > 1:
        read, volume = tiling.reads(box), np.arange(int(np.prod(shape))).reshape(shape)
        mirrored = np.pad(volume, [(p, p) for p in patch], mode="reflect")
        for one in met[:3]:
            at = tuple(slice(b + p, e + p) for b, e, p in zip(*one.read, patch, strict=True))
            assert np.array_equal(tiling.cut(volume[read.slices], read.begin, one), mirrored[at])


@pytest.mark.parametrize("weighting", get_args(Weighting))
def test_weights_fall_off_towards_the_rim_alike_on_all_sides(weighting: Weighting) -> None:
    weights = Tiling((50, 50, 50), (9, 12, 15), (1, 1, 1)).weights(weighting)
    assert weights.shape == (7, 10, 13) and weights.max() == 65_536 and weights.min() >= 1
    assert np.array_equal(weights, weights[::-1, ::-1, ::-1])
    assert (np.diff(weights[3, 5]) <= 0)[6:].all()
    if weighting != "flat":
        assert weights[0, 0, 0] < 0.05 * weights.max()
        assert weights[3, 5, 6] > 10 * weights[3, 5, 0]


def test_what_is_unknown_has_no_weight() -> None:
    tiling, box = Tiling((4, 4, 6), (4, 4, 4), (0, 0, 0), (0, 0, 2)), Box((0, 0, 0), (4, 4, 6))
    blend = Blend(tiling, box, 1, "flat")
    first, second = tiling.patches(box)
    known = np.ones((1, 4, 4, 4), bool)
    known[..., 3] = False
    blend.add(first, np.full((1, 4, 4, 4), 0.2), known)
    with pytest.raises(ValueError, match=r"48 voxels of .* were seen by no patch"):
        blend.result()
    blend.add(second, np.full((1, 4, 4, 4), 0.8))
    assert blend.result()[0, 0, 0].tolist() == [51, 51, 128, 204, 204, 204]


def answer(value: float = 0.5, shape: Any = (1, 4, 4, 4)) -> None:
    tiling, box = Tiling((4, 4, 4), (4, 4, 4)), Box((0, 0, 0), (4, 4, 4))
    Blend(tiling, box, 1).add(next(tiling.patches(box)), np.full(shape, value))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Tiling((9, 9, 9), (4, 4, 4), (0, 2, 0)),
            "along y a patch of 4 leaves nothing new",
        ),
        (lambda: Tiling((9, 9, 9), (4, 4, 4), (0, 0, 0), (0, 0, 4)), "along x .* an overlap of 4"),
        (lambda: Tiling((9, 9, 9), (4, 4, 4)).weights("hann"), "one of bump, gaussian, flat, got 'hann'"),  # type: ignore[arg-type]
        (lambda: answer(1.5), r"must be probabilities in 0..1"),
        (lambda: answer(float("nan")), r"must be probabilities in 0..1"),
        (lambda: answer(shape=(2, 4, 4, 4)), r"must be \(1, 4, 4, 4\), got \(2, 4, 4, 4\)"),
    ],
)
def test_what_is_wrong_is_said(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
