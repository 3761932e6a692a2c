"""Values become the same groups whatever stands beside them."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.grouping import factorize, rows_by_values, text


def objects(values: list[Any]) -> np.ndarray:
    return np.array([*values, None], object)[:-1]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([None, float("nan"), "x"], ["(none)", "(none)", "x"]),
        ([np.int64(3), 3.0, 3, np.float32(0.5)], ["3", "3", "3", "0.5"]),
        ([True, np.bool_(False), None], ["true", "false", "(none)"]),
        ([1, "1", True, [1, 2]], ["1", "1", "true", "[1, 2]"]),
        ([b"caf\xc3\xa9", "blank", ""], ["café", "blank", ""]),
        ([datetime.date(2026, 11, 21)], ["2026-11-21"]),
        ([None, None], ["(none)", "(none)"]),
        ([1e300, float("inf"), -0.25], ["1e+300", "inf", "-0.25"]),
    ],
)
def test_texts_of_values(values: list[Any], texts: list[str]) -> None:
    codes, names = factorize(objects(values))
    assert [names[code] for code in codes] == texts
    assert names == sorted(set(texts))


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (np.array([2.0, np.nan, 0.5]), ["2", "(none)", "0.5"]),
        (np.array([True, False]), ["true", "false"]),
        (np.array(["b", "a"]), ["b", "a"]),
        (np.array([-1, 7], np.int32), ["-1", "7"]),
    ],
)
def test_texts_of_typed_columns(values: np.ndarray, texts: list[str]) -> None:
    codes, names = factorize(values)
    assert [names[code] for code in codes] == texts


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3), st.binary(max_size=2)
)


@given(st.lists(ANYTHING, max_size=12))
def test_the_text_of_a_value_does_not_depend_on_its_neighbours(values: list[Any]) -> None:
    codes, names = factorize(objects(values))
    assert [names[code] for code in codes] == [text(value) for value in values]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=40))
def test_rows_of_a_group_keep_their_order_and_each_is_in_one(rows: list[tuple[str, int]]) -> None:
    batch = {"x": objects([x for x, _ in rows]), "y": np.array([y for _, y in rows], np.int64)}
    groups = rows_by_values(batch, ("x", "y"))
    assert sorted(int(i) for _, numbers in groups for i in numbers) == list(range(len(rows)))
    for cell, numbers in groups:
        assert (np.diff(numbers) > 0).all()
        assert {rows[i] for i in numbers} == {(dict(cell)["x"], int(dict(cell)["y"]))}


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no column 'gendre' to group by; did you mean gender"):
        rows_by_values({"gender": objects(["f"])}, ("gendre",))
