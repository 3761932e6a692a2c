"""Values that two splits share, counted over any shards; related rows are no independent ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pytest

from vision.fairness.coding import coded
from vision.intervals import wilson
from vision.leakage import Values, digests

SPLITS = ("train", "val", "test")


def values(rows: Sequence[tuple[str, str | None]]) -> Values:
    """The state of (split, person) rows."""
    state = Values()
    for split in SPLITS:
        mine = [person for name, person in rows if name == split]
        if mine:
            state = state.update("person", split, *coded(pa.array(mine, pa.string())))
    return state


def some(n: int = 400) -> list[tuple[str, str | None]]:
    rng = np.random.default_rng(0)
    return [
        (SPLITS[int(rng.integers(0, 3))], None if rng.random() < 0.1 else f"person {rng.integers(0, 150)}")
        for _ in range(n)
    ]


def test_rows_that_leak_are_those_that_sets_of_names_say() -> None:
    rows, state = some(), values(some())
    names = {split: {p for s, p in rows if s == split and p} for split in SPLITS}
    for others in (None, ["train"], ["train", "val"]):
        held = set().union(*(names[o] for o in (others or [s for s in SPLITS if s != "test"])))
        found = state.leaked("person", ["test"], others)
        known = [p for s, p in rows if s == "test" and p]
        assert (found.rows, found.n) == (sum(p in held for p in known), len(known))
        assert (found.hits, found.values) == (len(names["test"] & held), len(names["test"]))
        assert found.missing == sum(s == "test" and p is None for s, p in rows)
        assert set(state.shared("person", "test", others).tolist()) == set(
            digests(sorted(names["test"] & held)).tolist()
        )
    every = state.leaked("person", SPLITS)
    assert every.rows == sum(state.leaked("person", [split]).rows for split in SPLITS)


def test_any_split_of_the_rows_adds_up_to_the_whole() -> None:
    rows = some()
    whole = values(rows)
    for parts in (2, 7, 60):
        order = np.random.default_rng(parts).permutation(len(rows))
        states = [values([rows[n] for n in part]) for part in np.array_split(order, parts)]
        merged = reduce(Values.merge, states, Values())
        assert merged.counts == whole.counts
        assert merged.missing == whole.missing


def test_rows_of_one_value_count_as_one() -> None:
    alone = values([("test", f"p{n}") for n in range(100)] + [("train", f"p{n}") for n in range(20)])
    share = alone.leaked("person", ["test"]).share
    assert share[:3] == (0.2, *wilson(20, 100))
    crowded = values([("test", f"p{n % 10}") for n in range(100)] + [("train", f"p{n}") for n in range(2)])
    share = crowded.leaked("person", ["test"]).share
    assert share == pytest.approx((0.2, *wilson(2, 10), 100))


def test_nothing_to_compare_is_no_share() -> None:
    state = values([("test", None), ("train", "a")])
    share = state.leaked("person", ["test"]).share
    assert np.isnan(share.value) and share.n == 0
    assert state.leaked("person", ["val"]).n == 0
    assert len(Values().shared("person", "test")) == 0
