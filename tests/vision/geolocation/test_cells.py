"""The adaptive partition against one that counts photo by photo, and the laws of counts that add."""

from __future__ import annotations

import doctest
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.geo import clustered_places, hard_places
from vision.accumulator import Array
from vision.geolocation import cells as adaptive
from vision.geolocation import counts, s2
from vision.geolocation.cells import Rule, check_disjoint, divide, kept, locate, partition
from vision.geolocation.counts import CellCounts, Leaves
from vision.summing import Summing

RULES = [
    Rule(t_max=50, t_min=5),
    Rule(t_max=50, t_min=5, drop="at-most"),
    Rule(t_max=200, t_min=10, min_level=2, drop="at-most"),
    Rule(t_max=30, t_min=0, min_level=4, max_level=9),
    Rule(t_max=1, t_min=1, max_level=12),
    Rule(t_max=100_000, t_min=1),
    Rule(t_max=5, t_min=5, drop="at-most"),
    Rule(t_max=20, t_min=3, min_level=13, max_level=13),
]


def one_by_one(ids: list[int], rule: Rule) -> dict[int, int]:
    """The definition, in plain Python: cells as groups of photos, each cut on its own."""

    def parent(leaf: int, level: int) -> int:
        low = 1 << 2 * (30 - level)
        return (leaf & -low) | low

    done: dict[int, int] = {}
    waiting = [(level0, [leaf for leaf in ids if parent(leaf, 0) == level0]) for level0 in {parent(i, 0) for i in ids}]
    level = 0
    while waiting:
        following = []
        for cell, photos in waiting:
            if level < rule.min_level or (len(photos) > rule.t_max and level < rule.max_level):
                groups: dict[int, list[int]] = {}
                for leaf in photos:
                    groups.setdefault(parent(leaf, level + 1), []).append(leaf)
                following += groups.items()
            else:
                done[cell] = len(photos)
        waiting, level = following, level + 1
    few = (lambda n: n < rule.t_min) if rule.drop == "below" else (lambda n: n <= rule.t_min)
    return {cell: count for cell, count in done.items() if not few(count)}


@pytest.fixture(scope="module")
def photos() -> Array:
    return s2.ids(*clustered_places(4000))


def test_the_examples_run() -> None:
    assert doctest.testmod(adaptive).failed == 0


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_it_is_the_definition(photos: Array, rule: Rule) -> None:
    wanted = one_by_one(photos.tolist(), rule)
    found = partition(Leaves.of(photos.copy()), rule)
    assert dict(zip(found.cells.tolist(), found.counts.tolist(), strict=True)) == wanted
    assert (np.diff(found.cells.astype(object)) > 0).all()
    check_disjoint(found.cells)


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("parts", [1, 2, 7])
def test_tables_of_shards_add_up_to_the_same_cells(photos: Array, rule: Rule, parts: int) -> None:
    """As a driver does it: coarse tables first, finer ones only inside cells that are too full."""
    shards = [
        Leaves.of(part.copy()) for part in np.array_split(np.random.default_rng(parts).permutation(photos), parts)
    ]
    level, start, done = min(max(3, rule.min_level), rule.max_level), s2.FACES, []
    within: Array | None = None
    while True:
        table = Summing([shard.table(level, within) for shard in reversed(shards)]).total(CellCounts(level))
        divided = divide(table.leaves().count, start, rule, level)
        done.append((divided.cells, divided.counts))
        if not len(divided.crowded):
            break
        start, level = np.sort(divided.crowded), min(level + 4, rule.max_level)
        within = start
    found = kept(*(np.concatenate(column) for column in zip(*done, strict=True)), rule)
    whole = partition(Leaves.of(photos.copy()), rule)
    assert found.cells.tobytes() == whole.cells.tobytes()
    assert found.counts.tobytes() == whole.counts.tobytes()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(0, 300), seed=st.integers(0, 99), t_max=st.integers(1, 60), t_min=st.integers(0, 60),
    levels=st.tuples(st.integers(0, 30), st.integers(0, 30)), drop=st.sampled_from(["below", "at-most"]),
)  # fmt: skip
def test_any_rule_on_any_photos(
    n: int, seed: int, t_max: int, t_min: int, levels: tuple[int, int], drop: adaptive.Drop
) -> None:
    rule = Rule(t_max, min(t_min, t_max), min(levels), max(levels), drop)
    ids = s2.ids(*clustered_places(n, seed))
    found = partition(Leaves.of(ids.copy()), rule)
    assert dict(zip(found.cells.tolist(), found.counts.tolist(), strict=True)) == one_by_one(ids.tolist(), rule)
    here = locate(found.cells, ids)
    assert np.array_equal(np.bincount(here[here >= 0], minlength=len(found.cells)), found.counts)
    assert s2.contains(found.cells[here[here >= 0]], ids[here >= 0]).all()


def test_many_photos_on_one_spot_end_in_a_leaf_above_the_limit() -> None:
    ids = np.concatenate([s2.ids(np.full(40, 48.8584), np.full(40, 2.2945)), s2.ids(*hard_places(7000))[-50:]])
    found = partition(Leaves.of(ids), Rule(t_max=20, t_min=5))
    leaf = found.cells[s2.level(found.cells) == 30]
    assert len(leaf) == 1
    assert found.counts[s2.level(found.cells) == 30].tolist() == [40]


def test_weights_are_photos(photos: Array) -> None:
    unique, counts = np.unique(photos, return_counts=True)
    order = np.random.default_rng(1).permutation(len(unique))
    heavy = Leaves.of(unique[order], counts[order])
    assert len(heavy) == len(photos)
    for rule in RULES:
        a, b = partition(heavy, rule), partition(Leaves.of(photos.copy()), rule)
        assert np.array_equal(a.cells, b.cells)
        assert np.array_equal(a.counts, b.counts)
    for level in (0, 6, 30):
        within = np.unique(s2.parent(photos[:500], 0))
        assert heavy.table(level).counts == Leaves.of(photos.copy()).table(level).counts
        assert heavy.table(level, within).counts == Leaves.of(photos.copy()).table(level, within).counts
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        Leaves.of(photos[:2].copy(), np.array([1, -1]))


@pytest.mark.parametrize("gathered", [1, 17, 1000])
def test_photos_inside_cells_are_gathered_in_parts(
    photos: Array, gathered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "_GATHERED", gathered)
    monkeypatch.setattr(counts, "_WINDOW", 7)
    crowded = np.unique(s2.parent(photos[::40], 6))
    inside = s2.contains(crowded[:, None], photos).any(axis=0)
    for leaves in (Leaves.of(photos.copy()), Leaves.of(photos.copy(), np.ones(len(photos), np.int64))):
        found = leaves.table(11, crowded)
        assert Counter(s2.parent(photos[inside], 11).tolist()) == dict(
            zip(found.cells.tolist(), found.counts.counts.tolist(), strict=True)
        )
        assert (np.diff(found.counts.keys) > 0).all()
    assert len(Leaves.of(photos.copy()).table(11, crowded[:0]).cells) == 0


def test_cell_counts_are_a_state_that_adds() -> None:
    latitude, longitude = clustered_places(3000)
    latitude[::50], longitude[::50] = np.nan, 0
    latitude[1::100], longitude[1::100] = 0, 0
    batch = {"latitude": latitude, "longitude": longitude}
    whole = CellCounts(level=8).update(batch)
    rows = np.random.default_rng(2).permutation(3000)
    parts = [CellCounts(level=8).update({k: v[part] for k, v in batch.items()}) for part in np.array_split(rows, 7)]
    for order in (parts, parts[::-1], parts[3:] + parts[:3]):
        total = Summing(order).total(CellCounts(8))
        assert total.counts == whole.counts
        assert total.rejected == whole.rejected
    assert whole.rejected.total() == 60 + 30
    good = np.isfinite(latitude) & ~((latitude == 0) & (longitude == 0))
    ids = s2.ids(latitude[good], longitude[good])
    assert Counter(s2.parent(ids, 8).tolist()) == dict(
        zip(whole.cells.tolist(), whole.counts.counts.tolist(), strict=True)
    )
    assert Leaves.of(ids).table(8).counts == whole.counts
    twice = CellCounts(level=8).update({**batch, "count": np.full(3000, 2)})
    assert twice.counts == whole.merge(whole).counts
    with pytest.raises(ValueError, match="level 8 and level 9 do not add"):
        whole.merge(CellCounts(level=9))


def test_photos_in_no_cell() -> None:
    cells = np.sort(s2.from_tokens(["47e64", "89c25"]))
    ids = s2.ids(np.array([48.85, 40.75, -33.0]), np.array([2.35, -73.98, 151.0]))
    assert locate(cells, ids).tolist() == [0, 1, -1]
    assert locate(cells[:0], ids).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"min_level": 5, "max_level": 4}, "got 5 and 4"),
        ({"max_level": 31}, "got 0 and 31"),
        ({"t_max": 10, "t_min": 11}, "got 11, 10"),
        ({"t_max": 0, "t_min": 0}, "t_max at least 1"),
    ],
)
def test_wrong_rules_are_refused(words: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rule(**words)  # type: ignore[arg-type]


def test_overlapping_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="cells 47e64 and 47e7 overlap"):
        check_disjoint(np.sort(s2.from_tokens(["47e64", "47e7", "89c25"])))
