"""Lookup tables and sets: what does not depend on order, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.connectomics.blocks import Grid
from vision.connectomics.relabel import Lookup
from vision.connectomics.unionfind import consecutive, joined

ids = st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=12, unique=True)


def plain_sets(nodes: list[int], pairs: list[tuple[int, int]]) -> dict[int, int]:
    """Union-find as one writes it down: the smallest id of each set."""
    of = {node: {node} for node in nodes}
    for a, b in pairs:
        together = of[a] | of[b]
        of.update(dict.fromkeys(together, together))
    return {node: min(of[node]) for node in nodes}


@given(ids, st.data())
@settings(max_examples=100, deadline=None)
def test_sets_are_those_of_plain_union_find_in_any_order(nodes, data) -> None:
    pairs = data.draw(st.lists(st.tuples(st.sampled_from(nodes), st.sampled_from(nodes)), max_size=15))
    lookup = joined(np.array(nodes, np.uint64), np.array(pairs, np.uint64).reshape(-1, 2))
    assert dict(zip(lookup.ids.tolist(), lookup.values.tolist(), strict=True)) == plain_sets(nodes, pairs)
    mixed = data.draw(st.permutations([pair[::-1] for pair in pairs]))
    again = joined(np.array(nodes[::-1], np.uint64), np.array(mixed, np.uint64).reshape(-1, 2))
    assert np.array_equal(lookup.ids, again.ids) and np.array_equal(lookup.values, again.values)
    numbers = consecutive(lookup)
    assert sorted(set(numbers.values.tolist())) == list(range(1, len(set(lookup.values.tolist())) + 1))


@given(ids, st.lists(st.integers(0, 11), max_size=60))
@settings(max_examples=60, deadline=None)
def test_labels_become_what_the_table_says(nodes, places) -> None:
    lookup = Lookup.of(np.array(nodes, np.uint64), np.arange(len(nodes), dtype=np.uint64) * 3)
    labels = np.array([0, *(nodes[p % len(nodes)] for p in places), 0], np.uint64)
    expected = [0, *((p % len(nodes)) * 3 for p in places), 0]
    assert lookup.apply(labels).tolist() == expected
    assert lookup.apply(labels.reshape(1, -1)).shape == (1, len(labels))


@pytest.mark.parametrize("base", [0, 2**40, 2**63 + 5])
@pytest.mark.parametrize("value", [7, 2**64 - 2, 2**64 - 1])
def test_close_ids_are_looked_up_by_place_and_strangers_still_refused(base: int, value: int) -> None:
    """Ids below, above and in a hole of the table, beside background, in pieces of any length."""
    ids = np.array([base + k for k in (3, 4, 6, 9)], np.uint64)
    lookup = Lookup.of(ids, np.array([1, value, 2**63, 1], np.uint64))
    expected = dict(zip(ids.tolist(), lookup.values.tolist(), strict=True)) | {0: 0}
    labels = np.random.default_rng(base % 97).choice(np.append(ids, np.uint64(0)), 300_000)
    assert lookup.apply(labels).tolist() == [expected[label] for label in labels.tolist()]
    for stranger in (1, base + 2, base + 5, base + 10, 2**63 + 1):
        labels[-1] = stranger
        with pytest.raises(ValueError, match=f"no row for id {stranger}$"):
            lookup.apply(labels)


def test_a_table_is_cut_by_block_and_chained() -> None:
    grid = Grid((4, 4, 4), (2, 2, 2))
    ids = np.concatenate([grid.ids(number, np.arange(1, 6)) for number in range(len(grid))])
    lookup = Lookup.of(ids, ids % np.uint64(7) + np.uint64(1))
    parts = [lookup.of_block(grid, number) for number in range(len(grid))]
    assert [len(part) for part in parts] == [5] * 8
    assert np.array_equal(np.concatenate([part.values for part in parts]), lookup.values)
    assert np.array_equal(lookup.between(*grid.id_range(3)).ids, parts[3].ids)
    doubled = Lookup.of(np.arange(1, 8, dtype=np.uint64), np.arange(2, 16, 2, dtype=np.uint64))
    assert np.array_equal(lookup.then(doubled).values, lookup.values * np.uint64(2))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: Lookup.of(np.array([5], np.uint64), np.array([1], np.uint64)).apply(np.array([5, 6])),
            "no row for id 6",
        ),
        (lambda: Lookup.of(np.array([], np.uint64), np.array([], np.uint64)).apply(np.array([3])), "no row for id 3"),
        (lambda: Lookup.of(np.array([5, 5]), np.array([1, 2])), "come once"),
        (lambda: Lookup.of(np.array([0]), np.array([2])), "above 0"),
        (lambda: Lookup.of(np.array([1, 2]), np.array([2])), "two columns of one length"),
        (lambda: joined(np.array([1, 2]), np.array([[1, 3]])), "id 3 is not among the 2 ids"),
        (lambda: joined(np.array([1, 2]), np.array([1, 2])), r"pairs must be \(M, 2\)"),
    ],
)
def test_what_is_wrong_is_said(make, words) -> None:
    with pytest.raises(ValueError, match=words):
        make()
