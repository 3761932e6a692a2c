"""Which rows belong to which group: columns of anything become codes and texts, and codes become row numbers.

The text of a value never depends on its neighbours in a batch, so the groups of a split corpus are those of the
whole: 3, 3.0 and np.int64(3) are "3", True is "true", and a missing value (None, nan) is "(none)".
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]
MISSING = "(none)"


def text(value: Any) -> str:
    """A value as the name of a group."""
    if value is None:
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return MISSING
        return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def factorize(values: Array) -> tuple[Array, list[str]]:
    """Codes (N,) int64 of `values` (N,), and the sorted texts that they number."""
    codes, distinct = _distinct(values)
    texts = [text(value) for value in distinct]
    names = sorted(set(texts))  # values may print alike: None and nan, 1 and 1.0
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[name] for name in texts], np.int64)[codes], names


def _distinct(values: Array) -> tuple[Array, list[Any]]:
    """Codes, and the values they stand for; Arrow encodes a million strings in some 50 ms."""
    try:
        column = pa.array(values, from_pandas=True)
        if values.dtype == object and pa.types.is_floating(column.type):
            raise TypeError("Arrow makes floats of a mixture: False would be 0")
        encoded = column.dictionary_encode(null_encoding="encode")
        return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
    except (pa.ArrowException, TypeError, OverflowError):  # a mixture of types, or lists
        place: dict[str, int] = {}
        codes = [place.setdefault(text(value), len(place)) for value in values.tolist()]
        return np.array(codes, np.int64), list(place)


def rows_by_values(
    batch: Mapping[str, Array], columns: Sequence[str]
) -> list[tuple[tuple[tuple[str, str], ...], Array]]:
    """((column, value), ...) and the row numbers, in order, of each combination of values that occurs.

    Raises:
        ValueError: if `batch` has no such column; it names the nearest.
    """
    code, names = np.zeros(1, np.int64), [cast(tuple[tuple[str, str], ...], ())]
    for column in columns:
        if column not in batch:
            near = difflib.get_close_matches(column, list(batch), n=1)
            raise ValueError(f"no column {column!r} to group by" + (f"; did you mean {near[0]}?" if near else ""))
        codes, texts = factorize(batch[column])
        present, code = np.unique(code * len(texts) + codes, return_inverse=True)
        names = [(*names[p // len(texts)], (column, texts[p % len(texts)])) for p in present.tolist()]
    if not len(code):
        return []
    # The smallest integers that hold the codes sort fastest, and a stable sort keeps the order of the rows.
    order = np.argsort(code.astype(np.min_scalar_type(max(0, len(names) - 1))), kind="stable")
    ends = np.cumsum(np.bincount(code, minlength=len(names)))
    return list(zip(names, np.split(order, ends[:-1]), strict=True))
