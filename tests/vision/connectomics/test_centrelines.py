"""Centrelines by blocks hang together as those of the whole do, and are as long; of a tube they are its length."""

from __future__ import annotations

import numpy as np
import pytest

from tests import neurites
from tests.neurites import Array
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.centrelines import Tree, centrelines, finished, joined
from vision.connectomics.skeletons import Skeletons, run_lengths
from vision.connectomics.surfaces import Ends
from vision.corpora.volumes import Lengths
from vision.sets import smallest

pytest.importorskip("bioimage_cpp")

CUBE: Lengths = (10.0, 10.0, 10.0)
SIZES = ((16, 16, 16), (13, 45, 7), (20, 20, 200), (64, 64, 64))


def by_blocks(labels: Array, size: tuple[int, int, int], voxel_nm: Lengths = CUBE) -> dict[int, Tree]:
    """What the blocks of a grid make together."""
    found: dict[int, list[Tree]] = {}
    for block in Grid(labels.shape, tuple(min(s, n) for s, n in zip(size, labels.shape, strict=True))):
        box = Box(block.write.begin, tuple(min(e + 1, n) for e, n in zip(block.write.end, labels.shape, strict=True)))
        ends: Ends = tuple(
            (b == 0, e == n) for b, e, n in zip(block.write.begin, block.write.end, labels.shape, strict=True)
        )  # type: ignore[assignment]
        for id_, tree in centrelines(labels[box.slices], box.begin, ends, voxel_nm).items():
            found.setdefault(id_, []).append(tree)
    return {id_: finished(joined(trees), voxel_nm) for id_, trees in found.items()}


def pieces(tree: Tree) -> int:
    return len(np.unique(smallest(len(tree.nodes), tree.links.astype(np.int64))))


def arc() -> tuple[Array, float]:
    """A tube of radius 4 along three quarters of a circle of radius 40, and its length in nm."""
    z, y, x = np.ogrid[:16, :110, :110]
    ring = np.sqrt((y - 55.0) ** 2 + (x - 55.0) ** 2)
    kept = (ring - 40) ** 2 + (z - 8.0) ** 2 <= 4**2
    kept &= ~((y >= 55) & (x >= 55))
    return kept.astype(np.uint64) * np.uint64(5), 1.5 * np.pi * 40 * 10


@pytest.mark.parametrize("size", [(16, 110, 110), *SIZES])
def test_a_tube_is_as_long_as_it_is(size: tuple[int, int, int]) -> None:
    labels, length = arc()
    tree = by_blocks(labels, size)[5]
    print(f"blocks of {size}: {tree.length_nm(CUBE):.0f} nm of {length:.0f}")
    assert pieces(tree) == 1 and len(tree.links) == len(tree.nodes) - 1
    assert tree.length_nm(CUBE) == pytest.approx(length, rel=0.04)
    assert (labels[tuple(np.rint(tree.nodes).astype(int).T)] == 5).all()


@pytest.mark.parametrize("size", SIZES)
def test_pieces_are_those_of_the_whole_and_lengths_nearly(size: tuple[int, int, int]) -> None:
    labels = neurites.labels(Box((0, 0, 0), (128, 50, 60)))
    whole, found = by_blocks(labels, labels.shape), by_blocks(labels, size)
    assert whole.keys() == found.keys() == set(np.unique(labels[labels > 0]).tolist())
    assert {id_: pieces(tree) for id_, tree in whole.items()} == {id_: pieces(tree) for id_, tree in found.items()}
    lengths = [sum(tree.length_nm(CUBE) for tree in trees.values()) for trees in (whole, found)]
    print(f"blocks of {size}: {lengths[1]:.0f} nm, as a whole {lengths[0]:.0f}")
    assert lengths[1] == pytest.approx(lengths[0], rel=0.02 if min(size) > 16 else 0.1)


def test_the_order_of_parts_does_not_show() -> None:
    labels, _ = arc()
    tree = centrelines(labels, (0, 0, 0), ((True, True),) * 3, CUBE)[5]
    halves = [Tree(tree.nodes, tree.links[part], tree.radius) for part in (np.s_[:30], np.s_[20:])]
    one, other = joined(halves), joined(halves[::-1])
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert len(one.nodes) == len(tree.nodes) and len(one.links) == len(tree.links)
    assert one.length_nm(CUBE) == pytest.approx(tree.length_nm(CUBE))


def test_swc_is_read_back_and_follows_its_own_segment() -> None:
    labels, _ = arc()
    labels[2:5, 60:90, 60:90] = 5  # a second piece
    size, offset = (30.0, 5.0, 4.0), (60.0, 0.0, 8.0)
    tree = by_blocks(labels, (16, 40, 40), size)[5]
    read = Skeletons.of_swc({"5": tree.to_swc(size, offset)})
    assert len(read) == len(tree.nodes) and (read.parent == -1).sum() == pieces(tree) == 2
    assert read.edges()[1].sum() == pytest.approx(tree.length_nm(size), rel=1e-4)
    rows, voxels = read.within(Box((0, 0, 0), labels.shape), size, offset)
    ids = labels[tuple(voxels.T)]
    assert len(rows) == len(read) and (ids == 5).all()
    scored = run_lengths(read, ids)
    assert scored.split_edges == scored.missed_nodes == 0 and scored.share == pytest.approx(1)


def test_a_file_is_what_neuroglancer_reads() -> None:
    labels, _ = arc()
    tree = by_blocks(labels, (16, 40, 40))[5]
    data = tree.to_bytes((30, 5, 4), (60, 0, 8))
    nodes, links = np.frombuffer(data, "<u4", 2).tolist()
    places = np.frombuffer(data, "<f4", 3 * nodes, 8).reshape(-1, 3)
    ends = np.frombuffer(data, "<u4", 2 * links, 8 + 12 * nodes).reshape(-1, 2)
    radius = np.frombuffer(data, "<f4", nodes, 8 + 12 * nodes + 8 * links)
    assert len(data) == 8 + 12 * nodes + 8 * links + 4 * nodes and ends.max() < nodes == len(tree.nodes)
    z, y, x = tree.nodes[0]
    assert places[0] == pytest.approx([(x + 0.5) * 4 + 8, (y + 0.5) * 5, (z + 0.5) * 30 + 60])
    assert radius.min() > 0 and np.median(radius) == pytest.approx(45, abs=15)
