"""Columns of numbers to Parquet and back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.segmenting import rows
from jobs.spec import JobFailed

COLUMNS = {
    "u": np.arange(900, dtype=np.uint64) + 2**63, "count": np.arange(900)[::-1], "score": np.linspace(-1, 1, 900),
    "few": np.zeros(900, np.float32), "small": np.arange(1800, dtype=np.int32)[::2],
}  # fmt: skip


def test_columns_come_back_as_they_were() -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table(COLUMNS), stream, compression="zstd")
    assert rows.packed(COLUMNS) == stream.getvalue()
    Path("t.parquet").write_bytes(stream.getvalue())
    table = rows.read("t.parquet")
    for name, values in COLUMNS.items():
        found = table[name].to_numpy()
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
    assert rows.read("t.parquet", ["few", "u"]).column_names == ["few", "u"]


def test_no_rows_are_rows_too() -> None:
    Path("n.parquet").write_bytes(rows.packed({"u": np.empty(0, np.uint64)}))
    found = rows.read("n.parquet")["u"].to_numpy()
    assert (found.dtype, len(found)) == (np.uint64, 0)


def test_a_torn_file_is_one_line() -> None:
    Path("t.parquet").write_bytes(rows.packed(COLUMNS)[:-9])
    with pytest.raises(JobFailed, match=r"t.parquet is damaged: run the same command again to make it"):
        rows.read("t.parquet")
    with pytest.raises(JobFailed, match=r"none.parquet is missing"):
        rows.read("none.parquet")
