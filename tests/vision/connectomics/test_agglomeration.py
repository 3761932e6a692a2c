"""Agglomeration: against one that searches all edges anew for each join, against waterz, and for any cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import neurites
from tests.em import edges_by_block, fragments_by_block, renamed
from tests.neurites import Array
from vision.connectomics.agglomeration import by_threshold, greedy, in_parts, without_small
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.edges import Edges, edges_of
from vision.connectomics.fragments import Fragmenter
from vision.connectomics.relabel import Lookup
from vision.connectomics.unionfind import Forest, joined

Values = list[int]


def random_graph(seed: int, nodes: int, touching: int, levels: int) -> tuple[Array, Edges]:
    """Ids and edges of a random graph with many faces an edge; few levels make many ties."""
    generator = np.random.default_rng(seed)
    ids = np.sort(generator.choice(10**6, nodes, replace=False) + 1).astype(np.uint64) << np.uint64(20)
    pairs = generator.integers(0, nodes, (touching, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    values = generator.integers(0, levels, len(pairs)) * (510 // max(1, levels - 1))
    return ids, Edges.of_faces(ids[pairs[:, 0]], ids[pairs[:, 1]], values, bins=511)


def plainly(ids: Array, edges: Edges, threshold: float, score: Callable[[Values], float]) -> dict[int, int]:
    """All edges looked at for each join; the lowest score joins, ties go to the first row of the table."""
    of = {int(i): int(i) for i in ids}
    faces = [np.repeat(np.arange(511), counts).tolist() for counts in edges.histogram]
    while True:
        between: dict[tuple[int, int], tuple[int, Values]] = {}
        for row, (u, v) in enumerate(edges.pairs.tolist()):
            pair = (min(of[u], of[v]), max(of[u], of[v]))
            if pair[0] != pair[1]:
                first, values = between.get(pair, (row, []))
                between[pair] = (first, values + faces[row])
        best = min(((score(values), first, pair) for pair, (first, values) in between.items()), default=None)
        if best is None or best[0] > threshold:
            return of
        keep, gone = best[2]
        of = {i: keep if root == gone else root for i, root in of.items()}


def as_dict(lookup: Lookup) -> dict[int, int]:
    return dict(zip(lookup.ids.tolist(), lookup.values.tolist(), strict=True))


@given(st.integers(0, 2**32), st.integers(2, 14), st.sampled_from([2, 3, 5, 511]), st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_the_queue_joins_what_a_full_search_joins(seed: int, nodes: int, levels: int, threshold: float) -> None:
    ids, edges = random_graph(seed, nodes, 4 * nodes, levels)
    joins = greedy(ids, edges)
    expected = plainly(ids, edges, threshold, lambda values: sum(values) / (510 * len(values)))
    assert as_dict(joins.at(threshold)) == expected
    assert (np.diff(joins.scores) >= 0).all()
    stopped = greedy(ids, edges, highest=threshold).at(threshold)
    assert as_dict(stopped) == expected


@pytest.mark.parametrize("levels", [3, 511])
@pytest.mark.parametrize("few", [0, 3, 10**9])
def test_rounds_and_the_queue_make_one_history(levels: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All by the queue (0), half and half, all that can be in rounds: the same pairs, scores and order."""
    graphs = [random_graph(seed, 120, 600, levels) for seed in range(8)]
    usual = [greedy(*graph, 0.7) for graph in graphs]
    monkeypatch.setattr("vision.connectomics.rounds._FEW", few)
    for graph, expected in zip(graphs, usual, strict=True):
        found = greedy(*graph, 0.7)
        assert len(found.scores) > 20 and np.array_equal(found.scores, expected.scores)
        assert np.array_equal(found.pairs, expected.pairs)


@given(st.integers(0, 2**32), st.integers(2, 10), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_quantiles_too(seed: int, nodes: int, threshold: float) -> None:
    def upper(values: Values) -> float:
        return (sorted(values)[int(np.ceil(0.75 * len(values))) - 1] + 0.5) / 511

    ids, edges = random_graph(seed, nodes, 4 * nodes, 511)
    found = greedy(ids, edges, quantile=0.75).at(threshold)
    assert as_dict(found) == plainly(ids, edges, threshold, upper)


@given(st.integers(0, 2**32), st.integers(2, 14))
@settings(max_examples=40, deadline=None)
def test_a_threshold_joins_connected_components_and_more_with_each(seed: int, nodes: int) -> None:
    ids, edges = random_graph(seed, nodes, 3 * nodes, 511)
    tables = by_threshold(ids, edges, [0.3, 0.7])
    for threshold, table in zip((0.3, 0.7), tables, strict=True):
        row = {int(i): k for k, i in enumerate(ids)}
        same = np.eye(nodes, dtype=bool)
        for (u, v), mean in zip(edges.pairs.tolist(), edges.mean, strict=True):
            same[row[u], row[v]] |= mean <= threshold
            same[row[v], row[u]] |= mean <= threshold
        reach = np.linalg.matrix_power(same.astype(np.int64), nodes) > 0
        assert table.values.tolist() == [int(ids[reach[k]].min()) for k in range(nodes)]
    joins = greedy(ids, edges)
    for some, more in ((joins.at(0.3), joins.at(0.7)), tables):  # a higher threshold never parts anything
        assert all(len(np.unique(more.values[some.values == root])) == 1 for root in np.unique(some.values))


def test_cutting_the_volume_changes_nothing() -> None:
    """Same fragments, statistics from blocks of any size: the same history, join by join."""
    boundary = neurites.boundary(Box((0, 0, 0), (60, 64, 70)), noise=110)
    grid = Grid(boundary.shape, (33, 47, 29), (6, 8, 8))
    fragments = fragments_by_block(boundary, grid, Fragmenter(window=8))
    ids = np.unique(fragments)
    whole = greedy(ids, edges_of(fragments, boundary))
    for size in ((32, 32, 32), (33, 47, 29), (200, 16, 16)):
        joins = greedy(ids[::-1], Edges.added(edges_by_block(fragments, boundary, Grid(boundary.shape, size))[::-1]))
        assert np.array_equal(joins.pairs, whole.pairs) and np.array_equal(joins.scores, whole.scores)


def test_one_bad_edge_joins_two_neurons_by_threshold_but_not_once_edges_are_pooled() -> None:
    """Neurons 1-2-3 and 4-5-6 touch in three places, one of them hardly closed and small."""
    faces = [(1, 2, 50), (2, 3, 60), (4, 5, 50), (5, 6, 60), (3, 6, 180)]
    faces += [(1, 4, 400), (2, 5, 420)] * 10
    edges = Edges.of_faces(*(np.array(column) for column in zip(*faces, strict=True)))
    ids = np.arange(1, 7, dtype=np.uint64)
    assert by_threshold(ids, edges, [0.4])[0].values.tolist() == [1] * 6
    assert greedy(ids, edges).at(0.4).values.tolist() == [1, 1, 1, 4, 4, 4]


def test_waterz_joins_the_same() -> None:
    waterz = pytest.importorskip("waterz")
    generator = np.random.default_rng(3)
    fragments = np.kron(np.arange(1, 121).reshape(4, 5, 6), np.ones((3, 4, 3), np.int64)).astype(np.uint64)
    boundary = generator.integers(0, 256, fragments.shape).astype(np.uint8)
    affinities = np.zeros((3, *fragments.shape), np.float32)
    for axis in range(3):
        low = np.take(boundary, range(boundary.shape[axis] - 1), axis).astype(np.float32)
        high = np.take(boundary, range(1, boundary.shape[axis]), axis)
        upper = tuple(slice(1, None) if i == axis else slice(None) for i in range(3))
        affinities[axis][upper] = 1 - (low + high) / 510
    joins = greedy(np.unique(fragments), edges_of(fragments, boundary))
    for threshold in (0.4501, 0.4801, 0.5001):  # one call each: waterz joins too little when asked for several at once
        segments = next(waterz.agglomerate(affinities, [threshold], fragments=fragments.copy()))
        ours = joins.at(threshold).apply(fragments)
        assert 1 < len(np.unique(ours)) < 120
        assert renamed(ours, segments)


def test_small_segments_join_their_best_neighbour_only() -> None:
    """A line 10-20-30-40: 30 is small and nearer to 40; 10 and 20 are one segment and large together."""
    ids = np.array([10, 20, 30, 40, 50], np.uint64)
    edges = Edges.of_faces(np.array([10, 20, 30]), np.array([20, 30, 40]), np.array([0, 300, 200]))
    lookup = Lookup.of(ids, np.array([10, 10, 30, 40, 50], np.uint64))
    sizes = np.array([6, 6, 3, 50, 1])
    assert without_small(lookup, sizes, edges, 5).values.tolist() == [10, 10, 30, 30, 50]  # 50 touches nothing
    assert without_small(lookup, sizes, edges, 3).values.tolist() == [10, 10, 30, 40, 50]
    assert without_small(lookup, sizes, Edges(), 100).values.tolist() == lookup.values.tolist()


def test_small_segments_pool_the_edges_of_their_fragments() -> None:
    """Two fragments of the small segment touch 1 weakly, one touches 4 strongly: the pooled mean decides."""
    ids = np.array([1, 2, 3, 4], np.uint64)
    faces = ([1, 1, 2], [2, 3, 4], [100, 500, 200])
    edges = Edges.of_faces(*(np.array(column) for column in faces))
    lookup = Lookup.of(ids, np.array([1, 2, 2, 4], np.uint64))
    assert without_small(lookup, np.array([90, 1, 1, 90]), edges, 10).values.tolist() == [1, 2, 2, 2]


def test_what_is_wrong_is_said() -> None:
    ids, edges = random_graph(0, 5, 9, 5)
    with pytest.raises(ValueError, match="is not among the 4 ids"):
        greedy(ids[1:], edges)
    with pytest.raises(ValueError, match=r"quantile must be in 0..1 of edges with histograms, got 2 of 511 bins"):
        greedy(ids, edges, quantile=2)
    with pytest.raises(ValueError, match="of 0 bins"):
        greedy(ids, Edges.of_faces(ids[:1], ids[1:2], np.array([3])), quantile=0.5)
    assert len(greedy(ids, Edges()).scores) == 0


@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 9), st.lists(st.floats(0, 1), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_edges_that_come_in_parts_join_what_all_of_them_do(
    seed: int, nodes: int, count: int, thresholds: list[float]
) -> None:
    """In any order, thinned out after every few: the oracle joins all edges of a threshold at once."""
    ids, edges = random_graph(seed, nodes, 5 * nodes, 7)
    chance = np.random.default_rng(seed)
    cuts = np.array_split(chance.permutation(len(edges)), count)
    parts = (Edges(edges.pairs[rows], edges.count[rows], edges.total[rows]) for rows in cuts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vision.connectomics.unionfind._AT_ONCE", 3)
        found = list(in_parts(chance.permutation(ids), parts, thresholds))
    for threshold, table in zip(thresholds, found, strict=True):
        assert as_dict(table) == as_dict(joined(ids, edges.pairs[edges.mean <= threshold]))


def test_a_forest_of_no_edges_and_of_loops() -> None:
    forest = Forest(3)
    assert forest.sets(9).tolist() == [0, 1, 2]
    forest.add(np.array([[1, 1], [2, 0], [0, 2]]), np.array([0, 5, 4]))
    assert forest.sets(3).tolist() == [0, 1, 2] and forest.sets(4).tolist() == [0, 1, 0]
