"""Times as seconds: texts, numbers, timestamps, and what is no time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from vision.times import seconds


def test_times() -> None:
    texts = pa.chunked_array([["1970-01-01T00:01:00", None, "yesterday", "1970-01-02"]])
    assert np.array_equal(seconds(texts), [60, np.nan, np.nan, 86400], equal_nan=True)
    assert np.array_equal(seconds(pa.chunked_array([[5, None]])), [5, np.nan], equal_nan=True)
    assert np.array_equal(seconds(texts.dictionary_encode()), seconds(texts), equal_nan=True)
    stamps = pa.chunked_array([pa.array([0, 90, None], pa.timestamp("s"))])
    assert np.array_equal(seconds(stamps), [0, 90, np.nan], equal_nan=True)
