"""Counts of an audit: exact, the same bytes for any sharding and any kind of column, bounded."""

from __future__ import annotations

import pickle
from collections import Counter
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.audited import cube, cube_of, rows
from vision.fairness.coding import coded
from vision.fairness.counts import OTHER, Cube
from vision.grouping import MISSING

COLUMNS = ["tone", "gender", "truth_", "said"]


def as_counter(found: Cube) -> Counter[tuple[str, ...]]:
    texts = [[levels[c] for c in row] for levels, row in zip(found.levels, found.codes().tolist(), strict=True)]
    return Counter(dict(zip(zip(*texts, strict=True), found.counts.counts.tolist(), strict=True)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_sharding_in_any_order_gives_the_same_bytes(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 120))
    table = rows(n, seed=data.draw(st.integers(0, 1000))).select(COLUMNS)
    whole = cube_of(table)
    order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(n)
    cuts = sorted(data.draw(st.lists(st.integers(0, n), max_size=5)))
    parts = [cube_of(table.take(pa.array(part))) for part in np.split(order, cuts)]
    forwards = reduce(Cube.merge, parts, Cube(tuple(COLUMNS)))
    backwards = reduce(lambda a, b: b.merge(a), reversed(parts))
    assert forwards.to_bytes() == backwards.to_bytes() == whole.to_bytes()
    assert forwards == whole == pickle.loads(pickle.dumps(whole))


def test_counts_are_those_of_the_rows() -> None:
    table = rows(500)
    texts = [tuple(MISSING if v is None else v for v in row.values()) for row in table.select(COLUMNS).to_pylist()]
    found = cube_of(table.select(COLUMNS))
    assert as_counter(found) == Counter(texts)
    assert found.total() == 500
    assert as_counter(found.over(["gender"])) == Counter((t[1],) for t in texts)
    assert as_counter(found.over(["said", "tone"])) == Counter((t[3], t[0]) for t in texts)


def test_a_column_counts_the_same_however_it_is_stored() -> None:
    values = [3, 1, None, 3, 0, 3]
    texts = pa.array([None if v is None else str(v) for v in values])
    kinds = [pa.array(values, pa.int8()), pa.array(values, pa.float64()), texts]
    dictionary = texts.dictionary_encode()
    chunked = pa.chunked_array([texts.slice(0, 2), texts.slice(2)])
    two = pa.chunked_array(
        [pa.array(["3", "1", None]).dictionary_encode(), pa.array(["3", "0", "3"]).dictionary_encode()]
    )
    wanted = Counter({("3",): 3, ("1",): 1, (MISSING,): 1, ("0",): 1})
    for column in (*kinds, dictionary, chunked, two, pa.chunked_array([dictionary])):
        assert as_counter(Cube.of({"x": coded(column)})) == wanted
    assert as_counter(Cube.of({"x": coded(pa.array([2, 0, 2], pa.int32()))})) == Counter({("2",): 2, ("0",): 1})
    assert as_counter(Cube.of({"x": coded(pa.array([-1, 70_000]))})) == Counter({("-1",): 1, ("70000",): 1})
    assert Cube.of({"x": coded(pa.array([], pa.string()))}) == Cube(("x",))


def test_weights_are_exact_far_beyond_what_floats_hold() -> None:
    heavy = 2**60 + 1
    found = cube({"x": ["a", "b", "a"]}, np.array([heavy, 1, 1]))
    assert as_counter(found) == Counter({("a",): heavy + 1, ("b",): 1})
    once = cube({"x": ["a", "b"]}, np.array([3, 0]))
    assert once == cube({"x": ["a", "a", "a"]})


def test_renamed_values_of_one_name_become_one() -> None:
    found = cube({"x": ["f", "F", "m", "f"], "y": ["1", "1", "2", "2"]})
    spelt = found.renamed("x", {"f": "female", "F": "female"})
    assert as_counter(spelt) == Counter({("female", "1"): 2, ("m", "2"): 1, ("female", "2"): 1})


def test_the_most_frequent_values_are_kept_ties_by_text() -> None:
    found = cube({"x": ["c", "b", "a", "b", None, "d"], "y": list("111122")})
    assert found.rare("x", 2) == ["c", "d"]
    kept = found.renamed("x", dict.fromkeys(found.rare("x", 2), OTHER))
    assert as_counter(kept.over(["x"])) == Counter({(OTHER,): 2, ("b",): 2, ("a",): 1, (MISSING,): 1})


def test_a_column_of_too_many_values_is_refused_with_their_number() -> None:
    found = cube({"x": [str(n) for n in range(50)]})
    found.check(["x"], 50)
    with pytest.raises(ValueError, match=r"column x has 50 values so far.*may have 49 \(max_groups\); top keeps"):
        found.check(["x"], 49)


def test_what_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match=r"counts of \('x',\) and of \('y',\) do not add up"):
        Cube(("x",)).merge(Cube(("y",)))
    with pytest.raises(ValueError, match="'z' was not counted, only x"):
        Cube(("x",)).over(["z"])
    many = {f"c{n}": coded(pa.array([str(v) for v in range(2000)])) for n in range(6)}
    with pytest.raises(ValueError, match="more combinations than can be numbered"):
        Cube.of(many)


def test_sparse_counts_of_many_combinations_cost_what_occurs() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({f"bit{n}": rng.integers(0, 2, 300) for n in range(16)} | {"label": rng.integers(0, 1000, 300)})
    found = cube_of(table)
    assert len(found.counts.keys) <= 300
    assert found.over(["bit3"]).counts.counts.sum() == 300
    ones = pc.sum(table["bit3"]).as_py()
    assert as_counter(found.over(["bit3"]))[("1",)] == ones
