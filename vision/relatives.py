"""Rows of one table that share a value with any row of another: same author, album, person or recording.

Nothing is dropped: rows are marked, so that a metric can be broken down by the marks, and both be reported, all rows
and those without a relative.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from vision.intervals import rate


def relatives(train: pa.Table, test: pa.Table, same: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """`same_<column>`, bool: whether a row's value is anywhere in the other table; null where it has none.

    Raises:
        ValueError: if a table lacks a column.
    """
    for name, table in (("train", train), ("test", test)):
        check(name, table, same)
    return {f"same_{column}": _shared(train[column], test[column]) for column in same}


def with_marks(table: pa.Table, marks: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """A table with marks, and `leaks` for any of them: null only where none is true and something is not known."""
    leaks = pa.chunked_array([pa.array(np.zeros(len(table), bool))])
    for name, mark in marks.items():
        table = table.append_column(name, mark)
        leaks = pc.or_kleene(leaks, mark)
    return table.append_column("leaks", leaks)


def summary(rows: pa.Table) -> pa.Table:
    """How many rows are marked.

    Returns:
        a row for each mark: `shared`, how many rows (`n`, of which more is known), `share` with its limits, and
        `unknown`.

    Raises:
        ValueError: if there is no mark.
    """
    names = [name for name in rows.column_names if name.startswith("same_") or name == "leaks"]
    if "leaks" not in names:
        raise ValueError("rows are not marked: call with_marks first")
    made = []
    for name in names:
        known = rows[name].drop_null()
        found = rate(pc.sum(known).as_py() or 0, len(known))
        shares = {"share": found.value, "low": found.low, "high": found.high}
        made.append({"mark": name, "shared": pc.sum(known).as_py() or 0, "n": len(known), **shares,
                     "unknown": rows[name].null_count})  # fmt: skip
    return pa.Table.from_pylist(made)


def check(what: str, table: pa.Table, wanted: Sequence[str]) -> None:
    """Refuse a table without a column.

    Raises:
        ValueError: naming it, and the nearest.
    """
    for column in wanted:
        if column not in table.column_names:
            close = difflib.get_close_matches(column, table.column_names, n=1, cutoff=0.5)
            hint = f"; did you mean {close[0]}?" if close else f" (it has {', '.join(table.column_names)})"
            raise ValueError(f"{what} has no column {column!r}{hint}")


def _shared(train: pa.ChunkedArray, test: pa.ChunkedArray) -> pa.ChunkedArray:
    known = pc.unique(train.cast(pa.string()).drop_null())
    texts = test.cast(pa.string())
    return pc.if_else(pc.is_null(texts), None, pc.is_in(texts, value_set=known))
