"""Proofreading: what is asked first, what an answer does, and how fast it pays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import neurites
from tests.em import shared_em
from tests.neurites import Array
from vision.connectomics.agglomeration import Joins, greedy
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.dendrogram import Dendrogram
from vision.connectomics.edges import Edges, edges_of
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.labelling import components
from vision.connectomics.positions import first_of, touching_at
from vision.connectomics.proofreading import Correction, corrected, mergers, splits
from vision.connectomics.simulated import Curve, proofread

FACES = [(10, 20, 50), (20, 30, 100), (30, 40, 300), (40, 50, 60), (10, 40, 400), (20, 50, 500), (50, 60, 510)]
IDS = np.array([10, 20, 30, 40, 50, 60], np.uint64)
VOXELS = np.array([5, 1, 3, 7, 2, 90])


def line() -> Joins:
    """10-20-30 and 40-50 join early, 30-40 late; 60 stays alone behind a certain boundary."""
    return greedy(IDS, edges())


def edges() -> Edges:
    return Edges.of_faces(*(np.array(column) for column in zip(*FACES, strict=True)))


@given(st.integers(0, 2**32), st.integers(1, 15))
@settings(max_examples=60, deadline=None)
def test_sides_of_joins_are_those_of_a_replay(seed: int, nodes: int) -> None:
    generator = np.random.default_rng(seed)
    pairs = generator.integers(0, nodes, (3 * nodes, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    ids = np.arange(1, nodes + 1, dtype=np.uint64)
    joins = greedy(ids, Edges.of_faces(ids[pairs[:, 0]], ids[pairs[:, 1]], generator.integers(0, 511, len(pairs))))
    tree, voxels = Dendrogram.of(joins, 0.6), generator.integers(1, 99, nodes)
    sets = {row: {row} for row in range(nodes)}
    left, right = tree.sums(voxels)
    for join, (a, b) in enumerate(joins.pairs[: joins.taken(0.6)].tolist()):
        one, other = (set(side.tolist()) for side in tree.sides(join))
        assert (one, other) == (sets[a], sets[b])
        assert (left[join], right[join]) == (voxels[list(one)].sum(), voxels[list(other)].sum())
        sets.update(dict.fromkeys(one | other, one | other))
    assert len(tree.pairs) == joins.taken(0.6) and sorted(tree.order.tolist()) == list(range(nodes))


def test_splits_are_pooled_and_ranked_by_chance_times_voxels() -> None:
    """At 0.3 there are 10-20-30 (9 voxels), 40-50 (9) and 60 (90), with faces of 300, 400, 500 between the first."""
    found = splits(line().at(0.3), edges(), VOXELS).best()
    assert found.segments.tolist() == [[10, 40], [40, 60]] and not found.is_cut.any()
    assert found.fragments.tolist() == [[30, 40], [50, 60]]  # the lowest boundary between them
    assert found.chance == pytest.approx([1 - 400 / 510, 0]) and found.voxels.tolist() == [9, 9]
    assert found.correction(0) == Correction("join", 30, 40)
    assert len(splits(line().at(1), edges(), VOXELS)) == 0


def test_mergers_are_the_joins_ranked_by_boundary_times_voxels() -> None:
    found = mergers(line(), 0.9, VOXELS).best()
    assert found.is_cut.all() and found.fragments.tolist() == [[30, 40], [20, 30], [40, 50], [10, 20]]
    assert found.chance == pytest.approx([400 / 510, 100 / 510, 60 / 510, 50 / 510])
    assert found.voxels.tolist() == [9, 3, 2, 1] and set(found.segments.reshape(-1).tolist()) == {10}
    assert len(mergers(line(), 0.05, VOXELS)) == 0 and len(found.best(2)) == 2


def test_corrections_are_a_new_table_in_any_order() -> None:
    joins = line()
    assert joins.at(0.9).values.tolist() == [10] * 5 + [60]
    cut, join = Correction("cut", 40, 30), Correction("join", 50, 60)
    for asked in ([cut, join], [join, cut], [join, cut, join]):
        assert corrected(joins, 0.9, asked).values.tolist() == [10, 10, 10, 40, 40, 40]
    assert corrected(joins, 0.9, []).values.tolist() == joins.at(0.9).values.tolist()
    # A cut in the middle of a history: what came later stays with the fragment that it touches.
    assert corrected(joins, 0.9, [Correction("cut", 20, 30)]).values.tolist() == [10, 10, 30, 30, 30, 60]
    with pytest.raises(ValueError, match="fragments 10 and 40 were not joined"):
        corrected(joins, 0.9, [Correction("cut", 10, 40)])
    with pytest.raises(ValueError, match="fragments 30 and 40 are to be joined and to be cut"):
        corrected(joins, 0.9, [cut, Correction("join", 30, 40)])
    with pytest.raises(ValueError, match="id 70 is not among"):
        corrected(joins, 0.9, [Correction("join", 10, 70)])


def simulated(threshold: float, questions: int = 400) -> Curve:
    box = Box((0, 0, 0), (48, 60, 60))
    boundary = neurites.boundary(box, noise=120)
    truth = components(neurites.labels(box))
    return curve(truth, boundary, Fragmenter(window=8), threshold, questions)


def curve(truth: Array, boundary: Array, fragmenter: Fragmenter, threshold: float, questions: int) -> Curve:
    fragments = fragmenter.of_block(boundary).astype(np.uint64)
    ids, voxels = np.unique(fragments[fragments > 0], return_counts=True)
    found = edges_of(fragments, boundary)
    return proofread(Contingency.of(truth, fragments), greedy(ids, found), threshold, found, voxels, questions)


@pytest.mark.parametrize("threshold", [0.2, 0.55])
def test_a_user_who_knows_the_truth_mends_what_was_wrong(threshold: float) -> None:
    found = simulated(threshold)
    vi = found.split + found.merge
    assert vi[-1] < 0.6 * vi[0] and (np.diff(vi) < 1e-9).all()
    assert len(found.accepted) == len(vi) - 1 and (np.diff(found.asked) > 0).all() and found.asked[-1] <= 400
    assert len(set(found.accepted)) == len(found.accepted)
    assert vi.min() <= found.mean_vi <= vi.max()


def test_questions_end_when_they_are_used_up() -> None:
    few = simulated(0.2, questions=7)
    assert few.asked[-1] <= 7 and len(few.accepted) > 1
    assert [c.kind for c in few.accepted] == ["join"] * len(few.accepted)


def test_the_gala_crop_is_mended_from_both_sides() -> None:
    """Joined too much (0.98): half the bits are gone after five cuts. Too little (0.5): joins, 0.96 to 0.23 bits."""
    volume = shared_em("fib_gala_train")
    over, under = (curve(volume["gt"], volume["p1"], Fragmenter(), t, 300) for t in (0.98, 0.5))
    assert {c.kind for c in over.accepted[:5]} == {"cut"} and {c.kind for c in under.accepted} == {"join"}
    for found, after, share in ((over, 5, 0.5), (under, 50, 0.5)):
        vi = found.split + found.merge
        print(f"VI {vi[0]:.3f}, {vi[after]:.3f} after {after} of {len(found.accepted)}, at last {vi[-1]:.3f}")
        assert vi[after] < share * vi[0]


def test_places_of_pairs_are_the_same_for_any_blocks() -> None:
    labels = np.kron(np.random.default_rng(0).integers(0, 20, (4, 5, 6)), np.ones((3, 3, 3), np.int64)).astype(
        np.uint64
    )
    pairs = np.concatenate([edges_of(labels, labels.astype(np.uint8)).pairs, np.array([[3, 2**40]], np.uint64)])
    whole = touching_at(labels, (0, 0, 0), pairs)
    assert whole[-1].tolist() == [-1, -1, -1] and (whole[:-1] >= 0).all()
    for (z, y, x), (first, second) in zip(whole[:-1].tolist(), pairs.tolist(), strict=False):
        around = labels[z : z + 2, y, x], labels[z, y : y + 2, x], labels[z, y, x : x + 2]
        assert any(sorted(two.tolist()) == [first, second] for two in around)
    found = np.full_like(whole, -1)
    for block in list(Grid(labels.shape, (5, 4, 7), (1, 1, 1)))[::-1]:
        box = Box(block.read.begin, block.write.end)
        found = first_of(touching_at(labels[box.slices], box.begin, pairs), found)
    assert np.array_equal(found, whole)
