"""Edges: the statistics of each boundary, the same for any cut of the volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import neurites
from tests.em import SIZES, edges_by_block, fragments_by_block, same_edges
from tests.neurites import Array
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.edges import Edges, edges_across, edges_of
from vision.connectomics.fragments import Fragmenter


def faces_by_pair(labels: Array, boundary: Array) -> dict[tuple[int, int], list[int]]:
    """Each face of each pair, as one writes it down."""
    found: dict[tuple[int, int], list[int]] = {}
    for place in np.ndindex(*labels.shape):
        for axis in range(3):
            other = tuple(p + (i == axis) for i, p in enumerate(place))
            if other[axis] < labels.shape[axis]:
                pair = tuple(sorted((int(labels[place]), int(labels[other]))))
                if pair[0] and pair[0] != pair[1]:
                    found.setdefault(pair, []).append(int(boundary[place]) + int(boundary[other]))  # type: ignore[arg-type]
    return found


@given(st.integers(0, 2**32), st.sampled_from([1, 2**20, 2**31, 2**58]), st.sampled_from([0, 17, 256]))
@settings(max_examples=40, deadline=None)
def test_statistics_are_those_of_the_faces_written_down(seed: int, step: int, bins: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 6, (3, 4, 5)).astype(np.uint64) * np.uint64(step)
    boundary = generator.integers(0, 256, labels.shape).astype(np.uint8)
    edges, expected = edges_of(labels, boundary, bins), faces_by_pair(labels, boundary)
    assert [tuple(pair) for pair in edges.pairs.tolist()] == sorted(expected)
    for row, pair in enumerate(sorted(expected)):
        values = np.array(expected[pair])
        numbers = (len(values), values.sum(), (values**2).sum(), values.min(), values.max())
        columns = (edges.count, edges.total, edges.squares, edges.least, edges.most)
        assert tuple(column[row] for column in columns) == numbers
        assert edges.mean[row] == pytest.approx(values.mean() / 510)
        assert edges.spread[row] == pytest.approx(values.std() / 510, abs=1e-6)
        assert edges.histogram[row].tolist() == (
            np.bincount(values * bins // 511, minlength=bins).tolist() if bins else []
        )


@pytest.mark.parametrize("size", SIZES)
def test_blocks_add_up_to_the_whole_in_any_order(size: tuple[int, int, int]) -> None:
    boundary = neurites.boundary(Box((0, 0, 0), (70, 66, 72)), noise=110)
    grid = Grid(boundary.shape, size, (4, 6, 6))
    fragments = fragments_by_block(boundary, grid, Fragmenter(window=6))
    parts, whole = edges_by_block(fragments, boundary, grid, bins=16), edges_of(fragments, boundary, 16)
    assert len(whole) > 300
    shuffled = [parts[i] for i in np.random.default_rng(0).permutation(len(parts))]
    assert same_edges(Edges.added(parts), whole) and same_edges(Edges.added(shuffled), whole)
    half = len(parts) // 2
    assert same_edges(Edges.added(parts[half:]).merge(Edges.added(parts[:half])), whole)


@pytest.mark.parametrize("slab", [1, 1760, 5000])
def test_slabs_do_not_show(slab: int, monkeypatch: pytest.MonkeyPatch) -> None:
    boundary = neurites.boundary(Box((0, 0, 0), (20, 40, 44)), noise=100)
    fragments = Fragmenter(window=6).of_block(boundary)
    whole = edges_of(fragments, boundary)
    assert np.array_equal(edges_of(fragments, boundary, 16).total, whole.total)
    monkeypatch.setattr("vision.connectomics.edges._SLAB", slab)
    assert same_edges(edges_of(fragments, boundary), whole)


def test_bioimage_finds_the_same_pairs_counts_and_means() -> None:
    library = pytest.importorskip("bioimage_cpp")
    generator = np.random.default_rng(2)
    labels = np.kron(generator.integers(1, 30, (4, 5, 6)), np.ones((3, 3, 3), np.int64)).astype(np.uint32)
    boundary = generator.integers(0, 256, labels.shape).astype(np.uint8)
    edges, graph = edges_of(labels, boundary), library.graph.region_adjacency_graph(labels)
    features = library.graph.features.edge_map_features(graph, labels, boundary.astype(np.float64))
    assert np.array_equal(graph.uv_ids(), edges.pairs) and np.array_equal(features[:, 1], edges.count)
    assert np.allclose(features[:, 0], edges.mean * 255, rtol=1e-12)


def test_nothing_touches_in_a_blank_block() -> None:
    blank = np.zeros((4, 5, 6), np.uint64)
    empty = edges_of(blank, blank.astype(np.uint8), bins=8)
    assert len(empty) == 0 and len(Edges.added([empty, Edges()])) == 0
    one = edges_of(np.indices((2, 2, 2))[0].astype(np.uint64) + 1, np.zeros((2, 2, 2), np.uint8), bins=8)
    assert same_edges(empty.merge(one), one)
    assert len(edges_of(np.ones((1, 1, 1), np.uint64), np.zeros((1, 1, 1), np.uint8))) == 0


def test_what_is_wrong_is_said() -> None:
    labels = np.ones((2, 3, 4), np.uint64)
    with pytest.raises(ValueError, match=r"boundary must be uint8 of the fragments' shape \(2, 3, 4\), got float64"):
        edges_of(labels, np.zeros((2, 3, 4)))
    with pytest.raises(ValueError, match=r"got uint8 \(1, 3\)"):
        edges_across(labels[0], labels[1], np.zeros((1, 3), np.uint8), np.zeros((3, 4), np.uint8))
    ones = [np.array([v]) for v in (1, 2, 3)]
    with pytest.raises(ValueError, match=r"one number of bins, got \[4, 8\]"):
        Edges.of_faces(*ones, bins=4).merge(Edges.of_faces(*ones, bins=8))
