"""Times as cameras and tables write them, as seconds that can be subtracted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from vision.accumulator import Array


def seconds(column: pa.ChunkedArray) -> Array:
    """(N,) float64 seconds of ISO texts, timestamps or numbers; nan for none, or what is no time."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    return np.array([_seconds(value) for value in column.to_pylist()], np.float64)


def _seconds(value: Any) -> float:
    try:
        found = np.datetime64(value, "s")
        return float("nan") if np.isnat(found) else float(found.astype(np.int64))
    except (ValueError, TypeError):
        return float("nan")
