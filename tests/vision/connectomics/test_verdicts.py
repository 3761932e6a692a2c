"""Borders looked at by a net: places and pictures do not depend on blocks, and what it says becomes edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import neurites
from tests.neurites import Array
from vision.connectomics.agglomeration import greedy
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.dendrogram import Dendrogram
from vision.connectomics.edges import Edges, edges_of
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.labelling import components
from vision.connectomics.patches import Faces, Look, faces_of
from vision.connectomics.proofreading import mergers
from vision.connectomics.verdicts import FIXED, Borders, borders, judged, learn, together, with_chance

BOX = Box((0, 0, 0), (30, 44, 44))
BOUNDARY = neurites.boundary(BOX, noise=120)
TRUTH = components(neurites.labels(BOX)).astype(np.uint64)


def whole(shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    z, y, x = (slice(0, n) for n in shape)
    return z, y, x


def fragments(window: int = 8) -> Array:
    return Fragmenter(window=window).of_block(BOUNDARY).astype(np.uint64)


def test_places_are_on_borders_and_the_same_for_any_blocks() -> None:
    labels = fragments()
    found = faces_of(labels, whole(labels.shape), (0, 0, 0), 4)
    edges = edges_of(labels, BOUNDARY)
    pairs, counts = np.unique(found.pairs, axis=0, return_counts=True)
    assert np.array_equal(pairs, edges.pairs) and np.array_equal(counts, np.minimum(edges.count, 4))
    for (z, y, x), pair in zip(found.voxel.tolist(), found.pairs.tolist(), strict=True):
        beside = [
            labels[min(z + a, 29), min(y + b, 43), min(x + c, 43)] for a, b, c in ((1, 0, 0), (0, 1, 0), (0, 0, 1))
        ]
        assert labels[z, y, x] in pair and set(pair) <= {int(labels[z, y, x]), *map(int, beside)}
    # Borders of fragments that end at faces belong to one block each.
    grid = Grid(labels.shape, (15, 44, 20), (6, 6, 6))
    cut = np.zeros_like(labels)
    for block in grid:
        cut[block.write.slices] = grid.ids(block.number, components(labels[block.write.slices]))
    wanted = faces_of(cut, whole(cut.shape), (0, 0, 0), 4)
    parts = []
    for block in grid:
        some = faces_of(cut[block.read.slices], block.core, block.read.begin, 4)
        rows = zip(some.pairs.tolist(), (some.voxel + block.read.begin).tolist(), strict=True)
        parts += [(*pair, *at) for pair, at in rows]
    assert sorted(parts) == sorted((*p, *v) for p, v in zip(wanted.pairs.tolist(), wanted.voxel.tolist(), strict=True))


def test_pictures_show_the_border_from_three_sides() -> None:
    labels = np.zeros((9, 9, 9), np.uint64)
    labels[:, :, :4], labels[:, :, 4:8] = 3, 8
    boundary = np.zeros(labels.shape, np.uint8)
    boundary[:, :, 3:5] = 255
    look, face = Look(side=5, faces=1, image=True), Faces(np.array([[3, 8]], np.uint64), np.array([[1, 4, 3]]))
    image = np.full(labels.shape, 51, np.uint8)
    found = look.pictures(face, labels, boundary, image, edges_of(labels, boundary)).inputs()
    assert found.shape == (1, 3, 7, 5, 5)
    yx, zx, zy = found[0]
    columns = [0, 0, 1, 1, 0]  # x from 1 to 5: the boundary is at 3 and 4
    np.testing.assert_array_equal(yx[0], [columns] * 5)
    np.testing.assert_array_equal(zx[0], [columns] * 5)
    assert (zy[0] == 1).all(), "along the border"
    np.testing.assert_array_equal(yx[2], [columns] * 5)
    assert (yx[1] == 1).all() and not zx[1][0].any() and (zx[1][1:] == 1).all(), "outside there is nothing"
    assert found[:, :, 3] == pytest.approx(0.2)
    assert (found[0, :, 4] == 1).all() and (found[0, :, 5] == 0).all()
    assert found[0, 0, 6] == pytest.approx(np.log(81) / 10)
    with pytest.raises(ValueError, match="grey levels must be given"):
        look.pictures(face, labels, boundary, None, edges_of(labels, boundary))
    with pytest.raises(ValueError, match="odd side of 5"):
        Look(side=6)


def test_a_net_learns_what_the_truth_says_of_borders() -> None:
    """Noise of 120 leaves little of a boundary: who always says the same is right in 2 of 3 places."""
    from vision.connectomics.border_net import border_net

    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    look = Look(side=9, faces=3)
    found = together([borders(look, fragments(window), TRUTH, BOUNDARY) for window in (5, 8)])
    assert found.borders > 300 and 0.05 < found.one.mean() < 0.95
    net = border_net(look.channels, width=6)
    told = list(learn(net, found, epochs=5, seed=1, rate=1e-2))
    guess = max(found.one.mean(), 1 - found.one.mean())
    print(f"{told[-1][1]:.1%} right, {guess:.1%} by guessing")
    assert told[-1][0] < told[0][0] and told[-1][1] > guess + 0.15
    alone, others = (judged(net, found.pictures.some(slice(n))) for n in (3, 200))
    assert np.array_equal(alone, others[:3]), "an answer does not depend on its neighbours"
    torch.manual_seed(0)
    again = border_net(look.channels, width=6)
    list(learn(again, found, epochs=5, seed=1, rate=1e-2))
    assert np.array_equal(judged(again, found.pictures.some(slice(50))), others[:50]), "one seed, one net"
    same = Borders(found.pictures.some(slice(5)), np.ones(5, np.float32), np.arange(5))
    with pytest.raises(ValueError, match="5 places on borders all have one answer"):
        list(learn(net, same, epochs=1, seed=0))


def test_what_a_net_says_becomes_edges_that_add_up() -> None:
    edges = Edges.of_faces(*(np.array(c, np.int64) for c in ([1, 1, 2], [2, 3, 3], [100, 200, 300])))
    pairs = np.array([[1, 2], [2, 3], [1, 3], [1, 2]], np.uint64)
    logits = np.array([0, -10 * FIXED, 3 * 2 * FIXED, 4 * FIXED])
    found = with_chance(edges, pairs, np.array([1, 1, 3, 1]), logits)
    wanted = 1 / (1 + np.exp([2.0, 2.0, -10.0]))  # chances that they are apart: 1-2 is the mean of two places
    assert found.mean == pytest.approx(wanted, abs=1 / 510) and np.array_equal(found.count, edges.count)
    with pytest.raises(ValueError, match="2 borders were judged, and there are 3 others"):
        with_chance(edges, pairs[:2], np.array([1, 1]), logits[:2])


@given(st.integers(0, 2**32), st.integers(2, 20))
@settings(max_examples=60, deadline=None)
def test_the_join_of_a_pair_is_that_of_a_replay(seed: int, nodes: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = generator.integers(0, nodes, (3 * nodes, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ids = np.arange(1, nodes + 1, dtype=np.uint64)
    edges = Edges.of_faces(ids[pairs[:, 0]], ids[pairs[:, 1]], generator.integers(0, 511, len(pairs)))
    joins = greedy(ids, edges)
    tree = Dendrogram.of(joins, 0.6)
    asked = np.argwhere(~np.eye(nodes, dtype=bool))
    found = tree.joining(asked)
    for (a, b), join in zip(asked.tolist(), found.tolist(), strict=True):
        sides = [{a, b} & set(side.tolist()) for side in tree.sides(join)] if join >= 0 else []
        assert [len(side) for side in sides] in ([], [1, 1])
        together_ = joins.at(0.6).values
        assert (join >= 0) == (together_[a] == together_[b])
    # Judged by themselves, cuts have the boundary at which their sides joined.
    voxels = np.ones(nodes, np.int64)
    assert mergers(joins, 0.6, voxels, edges).chance == pytest.approx(mergers(joins, 0.6, voxels).chance)
