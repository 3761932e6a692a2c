"""Small Parquet files that stages leave: columns to bytes, the same each time, and back."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import JobFailed


def packed(columns: Mapping[str, Any]) -> bytes:
    """Columns as the bytes of a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(pa.table(dict(columns)), stream, compression="zstd")
    return stream.getvalue()


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
