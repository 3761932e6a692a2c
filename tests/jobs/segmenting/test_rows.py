"""Columns of numbers to Parquet and back: the bytes of Arrow's own conversion, without pandas."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.segmenting import rows
from jobs.spec import JobFailed

ROOT = Path(__file__).parents[3]
COLUMNS = {
    "u": np.arange(900, dtype=np.uint64) + 2**63, "count": np.arange(900)[::-1], "score": np.linspace(-1, 1, 900),
    "few": np.zeros(900, np.float32), "small": np.arange(1800, dtype=np.int32)[::2],
}  # fmt: skip


def test_bytes_and_numbers_are_those_of_arrow() -> None:
    stream = io.BytesIO()
    pq.write_table(pa.table(COLUMNS), stream, compression="zstd")
    assert rows.packed(COLUMNS) == stream.getvalue()
    Path("t.parquet").write_bytes(stream.getvalue())
    table = rows.read("t.parquet")
    for name, values in COLUMNS.items():
        found = rows.numbers(table[name])
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
    assert rows.read("t.parquet", ["few", "u"]).column_names == ["few", "u"]


def test_pieces_cuts_and_nothing() -> None:
    cut = pa.chunked_array([pa.array([1, 2, 3]).slice(1), pa.array([], pa.int64()), pa.array([4, 5, 6]).slice(1, 1)])
    assert rows.numbers(cut).tolist() == [2, 3, 5]
    assert rows.numbers(pa.array([7, None, 9]).drop_null()).tolist() == [7, 9]
    assert rows.numbers(pa.chunked_array([], pa.uint64())).dtype == np.uint64
    nothing = {"u": np.empty(0, np.uint64)}
    Path("n.parquet").write_bytes(rows.packed(nothing))
    assert rows.numbers(rows.read("n.parquet")["u"]).tolist() == []


def test_pandas_is_not_loaded() -> None:
    """It takes 40 MB of each worker."""
    program = """
import sys
import numpy as np
from jobs.segmenting import lookup
from jobs.segmenting.graph import Graph, nodes, read
from vision.connectomics.relabel import Lookup
ids = np.arange(1, 9, dtype=np.uint64)
lookup.write("l.parquet", Lookup(ids, ids))
assert len(lookup.read("l.parquet")) == 8
open("g.parquet", "wb").write(Graph(ids, ids.astype(np.int64), Graph.added([]).edges).to_parquet())
assert len(read("g.parquet").ids) == len(nodes("g.parquet")) == 8
assert "pandas" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_torn_file_is_one_line() -> None:
    Path("t.parquet").write_bytes(rows.packed(COLUMNS)[:-9])
    with pytest.raises(JobFailed, match=r"t.parquet is damaged: run the same command again to make it"):
        rows.read("t.parquet")
    with pytest.raises(JobFailed, match=r"none.parquet is missing"):
        rows.read("none.parquet")
