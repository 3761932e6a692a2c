"""Small Parquet files that stages leave: columns to bytes, the same each time, and back.

Numbers go from numpy to Arrow and back by their buffers: Arrow's own conversions load pandas, where it is installed,
which is a fifth of what a worker may need.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import JobFailed
from vision.accumulator import Array

_KINDS = {pa.from_numpy_dtype(np.dtype(name)): np.dtype(name) for name in (
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
)}  # fmt: skip


def packed(columns: Mapping[str, Any]) -> bytes:
    """Columns as the bytes of a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(pa.table({name: column(values) for name, values in columns.items()}), stream, compression="zstd")
    return stream.getvalue()


def column(values: Any) -> Any:
    """Numbers (N,) of numpy as an Arrow array that shares their memory; anything else as it is."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
        return values
    whole = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(whole.dtype), len(whole), [None, pa.py_buffer(whole)])


def numbers(values: pa.ChunkedArray | pa.Array) -> Array:
    """Numbers without gaps as (N,) of numpy; those in one piece share its memory."""
    pieces = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    found = [_piece(piece) for piece in pieces if len(piece)]
    return found[0] if len(found) == 1 else np.concatenate([_piece(pa.array([], values.type)), *found])


def _piece(values: pa.Array) -> Array:
    kind = _KINDS[values.type]
    data = values.buffers()[1]
    return np.frombuffer(data, kind, len(values), values.offset * kind.itemsize) if len(values) else np.empty(0, kind)


def read(url: str, columns: Sequence[str] | None = None) -> pa.Table:
    """The table in a file, or some of its columns.

    Raises:
        JobFailed: if it is missing or damaged.
    """
    try:
        return pq.ParquetFile(pa.BufferReader(storage.read(url))).read(columns=columns, use_threads=False)
    except FileNotFoundError:
        raise JobFailed(f"{url} is missing: run the same command again to make it") from None
    except pa.ArrowInvalid:
        raise JobFailed(f"{url} is damaged: run the same command again to make it") from None
