"""Surfaces by blocks are the surface of the whole: the same triangles, closed, and as large as geometry says."""

from __future__ import annotations

import numpy as np
import pytest

from tests import neurites
from tests.neurites import Array
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.surfaces import Ends, Mesh, joined, surfaces

measure = pytest.importorskip("skimage.measure")
pytest.importorskip("bioimage_cpp")

SHAPE = (40, 45, 50)
WHOLE: Ends = ((True, True),) * 3
SIZES = ((16, 16, 16), (13, 45, 7), (1, 20, 50))


def by_blocks(labels: Array, size: tuple[int, int, int]) -> dict[int, Mesh]:
    """What the blocks of a grid make together."""
    found: dict[int, list[Mesh]] = {}
    grid = Grid(labels.shape, size)
    for block in grid:
        end = tuple(min(e + 1, n) for e, n in zip(block.write.end, labels.shape, strict=True))
        box = Box(block.write.begin, end)
        ends = tuple((b == 0, e == n) for b, e, n in zip(block.write.begin, block.write.end, labels.shape, strict=True))
        for id_, mesh in surfaces(labels[box.slices], box.begin, ends):
            found.setdefault(id_, []).append(mesh)
    return {id_: joined(meshes) for id_, meshes in found.items()}


def triangles(mesh: Mesh) -> set[tuple[tuple[int, ...], ...]]:
    """Triangles by their corners' places, each beginning with its first."""
    found = set()
    for rows in mesh.corners[mesh.triangles].tolist():
        corners = [tuple(row) for row in rows]
        first = corners.index(min(corners))
        found.add(tuple(corners[first:] + corners[:first]))
    return found


def is_closed(mesh: Mesh) -> bool:
    """Whether each side of a triangle is a side of another that runs the other way."""
    ends = np.concatenate([mesh.triangles[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 0))])
    ways, counts = np.unique(ends, axis=0, return_counts=True)
    back, again = np.unique(ends[:, ::-1], axis=0, return_counts=True)
    return np.array_equal(ways, back) and np.array_equal(counts, again)


def volume(mesh: Mesh) -> float:
    """Voxels inside, positive if triangles run counter-clockwise seen from outside, in x, y, z."""
    a, b, c = np.moveaxis(mesh.corners[mesh.triangles][..., ::-1] / 2, 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def area(mesh: Mesh) -> float:
    a, b, c = np.moveaxis(mesh.corners[mesh.triangles] / 2, 1, 0)
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def balls() -> Array:
    """A ball in the middle, one that reaches the volume's end, and a lone voxel at the corner."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    labels = np.zeros(SHAPE, np.uint64)
    labels[(z - 20) ** 2 + (y - 22) ** 2 + (x - 24) ** 2 <= 12**2] = 2**60 + 7
    labels[(z - 20) ** 2 + (y - 22) ** 2 + (x - 49) ** 2 <= 10**2] = 3
    labels[-1, -1, -1] = 9
    return labels


@pytest.mark.parametrize("size", SIZES)
def test_blocks_make_the_triangles_of_the_whole(size: tuple[int, int, int]) -> None:
    box = Box((0, 0, 0), SHAPE)
    for labels in (balls(), neurites.labels(box)):
        whole, found = dict(surfaces(labels, (0, 0, 0), WHOLE)), by_blocks(labels, size)
        assert list(whole) == [id_ for id_ in np.unique(labels).tolist() if id_] == sorted(found)
        for id_, mesh in whole.items():
            assert triangles(found[id_]) == triangles(mesh)
            assert is_closed(joined([mesh])) and is_closed(found[id_]), f"the surface of {id_} has a crack"


def test_surfaces_have_the_size_of_what_they_enclose() -> None:
    labels = balls()
    found = dict(surfaces(labels, (0, 0, 0), WHOLE))
    ball = found[2**60 + 7]
    voxels = int((labels == 2**60 + 7).sum())
    assert volume(ball) == pytest.approx(voxels, rel=0.05) and volume(ball) > 0
    corners, faces, *_ = measure.marching_cubes((labels == 2**60 + 7).astype(np.float32), 0.5)
    assert area(ball) == pytest.approx(measure.mesh_surface_area(corners, faces), rel=1e-6)
    assert volume(found[9]) == pytest.approx(1 / 6) and len(found[9].triangles) == 8, "an octahedron"
    assert ball.corners.mean(axis=0) / 2 == pytest.approx([20, 22, 24], abs=0.2)


def test_a_file_is_what_neuroglancer_reads() -> None:
    mesh = dict(surfaces(balls(), (100, 0, 0), WHOLE))[9]
    data = mesh.to_bytes((30, 5, 4), (60, 0, 8))
    count = int(np.frombuffer(data, "<u4", 1)[0])
    places = np.frombuffer(data, "<f4", 3 * count, 4).reshape(-1, 3)
    rows = np.frombuffer(data, "<u4", offset=4 + 12 * count).reshape(-1, 3)
    assert (count, len(rows), rows.max()) == (6, 8, 5)
    middle = [(49 + 0.5) * 4 + 8, (44 + 0.5) * 5, (139 + 0.5) * 30 + 60]
    assert places.mean(axis=0) == pytest.approx(middle)
    assert np.ptp(places, axis=0) == pytest.approx([4, 5, 30])


def test_what_fills_a_block_or_is_nothing_has_no_surface_there() -> None:
    open_: Ends = ((False, False),) * 3
    assert dict(surfaces(np.full((4, 5, 6), 3, np.uint64), (0, 0, 0), open_)) == {}
    assert dict(surfaces(np.zeros((4, 5, 6), np.uint64), (0, 0, 0), WHOLE)) == {}
    closed = dict(surfaces(np.full((4, 5, 6), 3, np.uint64), (0, 0, 0), WHOLE))[3]
    assert is_closed(closed) and 90 < volume(closed) < 120
