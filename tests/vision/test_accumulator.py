"""Exact sums, sparse counts and breakdowns by group, against plain Python."""

from __future__ import annotations

import json
import math
import pickle
import time
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Self

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.accumulator import (
    Batch,
    ByGroup,
    Counts,
    Estimate,
    Suite,
    Tabled,
    fixed_sum,
    from_fixed,
    plotted,
    ratio,
    weights,
)

WEIGHTS = st.integers(0, 2**40)


@dataclass(frozen=True)
class Tally:
    """The smallest state there is: how many answers."""

    n: int = 0

    def update(self, batch: Batch) -> Self:
        return replace(self, n=self.n + int(weights(batch).sum()))

    def merge(self, other: Self) -> Self:
        return replace(self, n=self.n + other.n)

    def compute(self) -> dict[str, Estimate]:
        return {"answers": Estimate(float(self.n), math.nan, math.nan, self.n)}


@given(st.lists(st.tuples(st.floats(-(2.0**29), 2.0**29), WEIGHTS), max_size=30))
def test_fixed_sums_are_exact(rows: list[tuple[float, int]]) -> None:
    values, counts = np.array([v for v, _ in rows]), np.array([c for _, c in rows], np.int64)
    units = [round(Fraction(v) * 2**32) for v, _ in rows]  # both round halves to even
    assert fixed_sum(values, counts) == sum(u * c for u, (_, c) in zip(units, rows, strict=True))


def test_a_billion_rows_do_not_overflow() -> None:
    counts = np.full(1000, 10**15)
    assert from_fixed(fixed_sum(np.full(1000, 2.0**20), counts)) == 2.0**20 * 10**18
    assert from_fixed(fixed_sum(np.full(1000, -0.75), counts)) == -0.75 * 10**18


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0**30])
def test_what_cannot_be_summed_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=str(value)):
        fixed_sum(np.array([1.0, value]), np.array([1, 1]))


def test_nothing_divides_to_nan() -> None:
    assert math.isnan(ratio(0, 0))
    assert ratio(1, 4) == 0.25


PAIRS = st.lists(st.tuples(st.sampled_from([0, 1, 7, 500, 2**31, 2**61]), st.integers(0, 2**56)), max_size=30)


def counts_of(pairs: list[tuple[int, int]]) -> Counts:
    return Counts.of(np.array([k for k, _ in pairs], np.int64), np.array([c for _, c in pairs], np.int64))


def as_dict(counts: Counts) -> dict[int, int]:
    assert (np.diff(counts.keys) > 0).all()
    assert (counts.counts > 0).all()
    return dict(zip(counts.keys.tolist(), counts.counts.tolist(), strict=True))


@given(PAIRS, PAIRS)
def test_counts_add_up_and_merge_like_a_counter(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    def tally(pairs: list[tuple[int, int]]) -> dict[int, int]:
        expected: Counter[int] = Counter()
        for key, count in pairs:
            expected[key] += count
        return {key: count for key, count in expected.items() if count}

    assert as_dict(counts_of(first)) == tally(first)
    merged = counts_of(first).merge(counts_of(second))
    assert as_dict(merged) == tally([*first, *second])
    assert merged == counts_of(second).merge(counts_of(first))
    assert merged.total() == sum(count for _, count in [*first, *second])


@given(st.lists(st.integers(0, 50), max_size=60))
def test_dense_and_sparse_keys_count_alike(keys: list[int]) -> None:
    dense, ones = np.array(keys, np.int64), np.ones(len(keys), np.int64)
    assert as_dict(Counts.of(dense, ones)) == {
        key >> 40: count for key, count in as_dict(Counts.of(dense << 40, ones)).items()
    }


def test_counts_differ_where_a_key_or_a_count_does() -> None:
    assert counts_of([(1, 2)]) != counts_of([(1, 3)])
    assert counts_of([(1, 2)]) != counts_of([(2, 2)])
    assert counts_of([(1, 2)]) != 2


def test_a_suite_updates_and_merges_each_state() -> None:
    suite = Suite((Tally(), ByGroup(Tally(), ("g",))))
    batch = {"g": np.array(["a", "b", "a"], object), "count": np.array([1, 1, 5])}
    merged = suite.update(batch).merge(suite.update(batch))
    assert {name: value.n for name, value in merged.compute().items()} == {
        "answers": 14, "answers[g=a]": 12, "answers[g=b]": 2,
    }  # fmt: skip
    assert suite.tables() == {}
    assert pickle.loads(pickle.dumps(merged)) == merged


def test_every_combination_to_the_order_is_a_group() -> None:
    batch = {"g": np.array(["f", "m", None, "f"], object), "age": np.array([9, 10, 10, 9])}
    groups = ByGroup(Tally(), ("g", "age"), order=2).update(batch).groups()
    assert [(dict(cell), state.n) for cell, state in groups] == [
        ({"g": "(none)"}, 1), ({"g": "f"}, 2), ({"g": "m"}, 1),
        ({"age": "9"}, 2), ({"age": "10"}, 2),
        ({"g": "(none)", "age": "10"}, 1), ({"g": "f", "age": "9"}, 2), ({"g": "m", "age": "10"}, 1),
    ]  # fmt: skip


def test_groups_come_in_the_order_asked_for_whatever_was_seen_first() -> None:
    rows = [{"b": np.array([b]), "a": np.array([a])} for b, a in (("y", 2), ("x", 11))]
    forward, backward = (ByGroup(Tally(), ("b", "a")).update(r).update(s) for r, s in (rows, rows[::-1]))
    assert [cell for cell, _ in forward.groups()] == [cell for cell, _ in backward.groups()]
    assert list(forward.compute()) == ["answers[b=x]", "answers[b=y]", "answers[a=2]", "answers[a=11]"]


def test_a_million_rows_are_grouped_in_about_a_second() -> None:
    generator = np.random.default_rng(0)
    batch = {
        "id": np.array([f"{i}.jpg" for i in range(10**6)], object),
        "gender": np.array(["f", "m", None], object)[generator.integers(0, 3, 10**6)],
        "age": generator.integers(0, 100, 10**6),
    }
    started = time.process_time()
    groups = ByGroup(Tally(), ("gender", "age"), order=2).update(batch).groups()
    assert time.process_time() - started < 2.5
    assert len(groups) == 3 + 100 + 300


def test_without_a_count_every_row_is_one() -> None:
    assert weights({"x": np.zeros(3)}).tolist() == [1, 1, 1]
    assert weights({}).tolist() == []


def test_a_plot_is_noted_in_the_schema() -> None:
    table = plotted(pa.table({"n": [1]}), kind="bars", value="n")
    assert json.loads(table.schema.metadata[b"plot"]) == {"kind": "bars", "value": "n"}
    assert isinstance(Suite(()), Tabled)
    assert not isinstance(Tally(), Tabled)
