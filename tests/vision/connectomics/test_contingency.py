"""Tables of overlaps: exact, sparse, the same for any cut of the volume."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import neurites
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.grouped import by_pair

Rows = list[tuple[int, int, int]]
ids = st.sampled_from([0, 1, 2, 7, 2**33, 2**40 + 1, 2**63, 2**64 - 1])


def rows(table: Contingency) -> Rows:
    columns = (table.truth.tolist(), table.segments.tolist(), table.counts.tolist())
    return list(zip(*columns, strict=True))


def counted(truth: Any, segments: Any) -> Rows:
    """As one writes it down."""
    found: dict[tuple[int, int], int] = {}
    for pair in zip(truth.reshape(-1).tolist(), segments.reshape(-1).tolist(), strict=True):
        found[pair] = found.get(pair, 0) + 1
    return sorted((*pair, n) for pair, n in found.items())


@given(st.lists(st.tuples(ids, ids), max_size=50), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_a_table_counts_pairs_and_adds_up_in_any_order(pairs, seed) -> None:
    truth, segments = np.array(pairs, np.uint64).reshape(-1, 2).T
    whole = Contingency.of(truth, segments)
    assert rows(whole) == counted(truth, segments)
    places = np.random.default_rng(seed).integers(0, 4, len(truth))
    parts = [Contingency.of(truth[places == p], segments[places == p]) for p in (2, 0, 3, 1)]
    assert rows(Contingency.total(parts)) == rows(whole)
    assert rows(parts[0].merge(parts[1]).merge(parts[2].merge(parts[3]))) == rows(whole)
    assert whole.voxels == len(truth)


@pytest.mark.parametrize("size", [(32, 32, 32), (33, 47, 29), (200, 16, 16)])
def test_blocks_give_the_table_of_the_whole(size: tuple[int, int, int]) -> None:
    box = Box((0, 0, 0), (50, 60, 70))
    truth, segments = neurites.labels(box), neurites.labels(box, seed=1) >> np.uint64(21)
    grid = Grid(truth.shape, size)
    parts = [Contingency.of(truth[b.write.slices], segments[b.write.slices]) for b in grid]
    assert rows(Contingency.total(reversed(parts))) == rows(Contingency.of(truth, segments)) == counted(truth, segments)


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    truth, segments = (generator.integers(0, 5, 1000).repeat(3).astype(np.uint64) << np.uint64(61) for _ in "ab")
    whole = rows(Contingency.of(truth, segments[::-1]))
    assert whole == counted(truth, segments[::-1])
    monkeypatch.setattr("vision.connectomics.contingency._CHUNK", 7)
    assert rows(Contingency.of(truth, segments[::-1])) == whole


def test_pairs_are_grouped_though_their_keys_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mixed key of wide ids may map two pairs to one number; here it always does."""
    monkeypatch.setattr("vision.connectomics.grouped._keys", lambda a, b: (np.zeros(len(a), np.uint64), False))
    first, second = np.array([2**60, 5, 2**60, 5, 9], np.uint64), np.array([1, 2**61, 1, 3, 2**61], np.uint64)
    groups = by_pair(first, second)
    assert groups.first.tolist() == [5, 5, 9, 2**60] and groups.second.tolist() == [3, 2**61, 2**61, 1]
    assert groups.sums(np.array([1, 2, 4, 8, 16])).tolist() == [8, 2, 16, 5]
    assert groups.sizes().tolist() == [1, 1, 1, 2] and groups.of_rows().tolist() == [3, 1, 3, 0, 2]
    assert groups.most(np.array([1, 2, 4, 8, 16])).tolist() == [8, 2, 16, 4]


def test_signed_and_narrow_ids_count_alike() -> None:
    truth = np.random.default_rng(0).integers(0, 5, (4, 5, 6))
    segments = np.random.default_rng(1).integers(0, 5, (4, 5, 6))
    expected = rows(Contingency.of(truth, segments))
    for kind in (np.uint8, np.int32, np.uint64):
        assert rows(Contingency.of(truth.astype(kind), segments.astype(np.uint16))) == expected
    assert rows(Contingency.of(truth.transpose(2, 0, 1), segments.transpose(2, 0, 1))) == expected


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match=r"must have one shape, got \(3,\) and \(4,\)"):
        Contingency.of(np.zeros(3, np.int64), np.zeros(4, np.int64))
    with pytest.raises(ValueError, match="segmentation must hold integer ids, got float64"):
        Contingency.of(np.zeros(3, np.int64), np.zeros(3))
    with pytest.raises(ValueError, match="truth must not hold negative ids, got -4"):
        Contingency.of(np.array([1, -4]), np.array([1, 2]))
