"""Answers on their way to a file: whole, or nowhere and without a word."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.engine.commit import ShardWriter


@pytest.mark.parametrize("tables", [0, 1])
def test_what_is_discarded_leaves_nothing_and_says_nothing(tables: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet's writer closes itself when it is collected, on a file that is gone by then."""
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    writer = ShardWriter("out/part.parquet")
    for _ in range(tables):
        writer.add(pa.table({"id": ["a"], "error": pa.array([None], pa.string())}))
    writer.discard()
    writer.discard()
    del writer
    gc.collect()
    assert not said
    assert list(Path("out").iterdir()) == []
