"""Affinities: boundaries and edges made of them, signs of offsets, flips."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests import neurites
from tests.em import same_edges
from tests.neurites import Array
from vision.connectomics.affinities import Nearest, turned_back
from vision.connectomics.blocks import Box, Grid, Zyx
from vision.connectomics.edges import Edges, edges_of

BELOW: tuple[Zyx, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
MIXED: tuple[Zyx, ...] = ((0, -9, 0), (0, 0, 1), (1, 0, 0), (0, -1, 0), (-3, 0, 0))


def perfect(labels: Array, offsets: tuple[Zyx, ...]) -> Array:
    """255 where a voxel and the one at the offset have one label other than 0, voxel by voxel."""
    found = np.zeros((len(offsets), *labels.shape), np.uint8)
    for channel, offset in zip(found, offsets, strict=True):
        for place in np.ndindex(*labels.shape):
            there = tuple(p + o for p, o in zip(place, offset, strict=True))
            if all(0 <= t < n for t, n in zip(there, labels.shape, strict=True)):
                channel[place] = 255 * (labels[place] == labels[there] != 0)
    return found


def graded(shape: Zyx, seed: int = 0) -> tuple[Array, Array, Array]:
    """Labels, a byte for each face along each axis, and the boundary map of which edges would be the same."""
    generator = np.random.default_rng(seed)
    labels = np.kron(generator.integers(0, 9, [-(-n // 3) for n in shape]), np.ones((3, 3, 3), np.int64))
    labels = labels[tuple(slice(n) for n in shape)].astype(np.uint64)
    boundary = generator.integers(0, 256, shape).astype(np.uint8) // 2 * 2
    faces = np.zeros((3, *shape), np.uint8)
    for axis in range(3):
        low = np.take(boundary, range(shape[axis] - 1), axis).astype(np.int64)
        high = np.take(boundary, range(1, shape[axis]), axis)
        upper = tuple(slice(1, None) if i == axis else slice(None) for i in range(3))
        faces[axis][upper] = 255 - (low + high) // 2
    return labels, faces, boundary


def test_edges_of_affinities_are_those_of_the_boundary_they_were_made_of() -> None:
    labels, faces, boundary = graded((7, 11, 13))
    nearest = Nearest.of(BELOW)
    assert same_edges(nearest.edges_of(labels, faces, 16), edges_of(labels, boundary, 16))


def test_the_sign_of_an_offset_says_where_a_face_is_written() -> None:
    labels, faces, _ = graded((7, 11, 13))
    lower = np.zeros((5, *labels.shape), np.uint8)
    lower[2, :-1], lower[3], lower[1, :, :, :-1] = faces[0, 1:], faces[1], faces[2, :, :, 1:]
    nearest = Nearest.of(MIXED)
    assert nearest == Nearest((2, 3, 1), (False, True, False))
    assert same_edges(nearest.edges_of(labels, lower), Nearest.of(BELOW).edges_of(labels, faces))


@pytest.mark.parametrize("offsets", [BELOW, MIXED])
def test_blocks_add_up_to_the_whole(offsets: tuple[Zyx, ...]) -> None:
    labels = graded((9, 12, 10))[0]
    affinities = np.random.default_rng(1).integers(0, 256, (len(offsets), *labels.shape)).astype(np.uint8)
    nearest, grid, parts = Nearest.of(offsets), Grid((9, 12, 10), (4, 5, 3)), []
    for block in grid:
        own = block.write.slices
        parts.append(nearest.edges_of(labels[own], affinities[:, *own], 4))
        for face in grid.faces(block.number):
            both = Box(face.lower.begin, face.upper.end)
            planes = labels[face.lower.slices], labels[face.upper.slices]
            parts.append(nearest.edges_across(*planes, affinities[:, *both.slices], face.axis, 4))
    assert same_edges(Edges.added(parts), nearest.edges_of(labels, affinities, 4))


def test_boundaries_of_perfect_affinities_are_where_labels_change() -> None:
    labels = neurites.labels(Box((0, 0, 0), (6, 30, 34)))
    affinities = perfect(labels, BELOW)
    found, flat = (Nearest.of(BELOW).boundary(affinities, in_section) for in_section in (False, True))
    assert (found[labels == 0] == 255).all()
    inner = (affinities == 255).all(axis=0)
    assert (found[inner] == 0).all() and inner.any()
    assert np.array_equal(np.unique(found), [0, 85, 170, 255]) and np.array_equal(np.unique(flat), [0, 127, 255])


@pytest.mark.parametrize("axes", [axes for n in (1, 2, 3) for axes in itertools.combinations(range(3), n)])
def test_flipped_pictures_have_the_affinities_of_the_picture(axes: tuple[int, ...]) -> None:
    labels = np.random.default_rng(2).integers(0, 3, (6, 11, 7)).astype(np.uint64)
    values, known = turned_back(perfect(np.flip(labels, axes), MIXED), MIXED, axes)
    expected = perfect(labels, MIXED)
    assert np.array_equal(values[known], expected[known])
    for channel, offset in enumerate(MIXED):
        axis = int(np.flatnonzero(offset)[0])
        lost = abs(offset[axis]) / labels.shape[axis] if axis in axes else 0
        assert 1 - known[channel].mean() == pytest.approx(min(1, lost))


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="no offset is a nearest neighbour along y"):
        Nearest.of(((-1, 0, 0), (0, -9, 0), (0, 0, 1)))
    with pytest.raises(ValueError, match=r"of the fragments' shape \(2, 2, 2\), got float64"):
        Nearest.of(BELOW).edges_of(np.ones((2, 2, 2), np.uint64), np.ones((3, 2, 2, 2)))
    with pytest.raises(ValueError, match=r"along one axis each, got \(0, -3, -3\)"):
        turned_back(np.zeros((1, 4, 4, 4)), ((0, -3, -3),), (1,))
    assert turned_back(np.zeros((1, 4, 4, 4)), ((0, -3, -3),), (0,))[1].all()
