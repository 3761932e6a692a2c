"""Predictions folders made by hand: answers chosen by the test, committed as the engine commits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.answers import Answers, recorded
from jobs.engine import commit
from tests.making import Row
from vision.accumulator import Array
from vision.corpus import Corpus


def rows_with(labels: Array) -> list[Row]:
    """Records whose pictures nobody will open."""
    return [(f"{n:05d}.jpg", b"never opened", int(label)) for n, label in enumerate(labels)]


def answer(
    folder: Path, corpus: str, predicted: Array, score: float = 0.9, split: str = "test", **identity: Any
) -> Answers:
    """Answers `predicted` (N,), -1 for a broken image, to the records of `corpus` in their order.

    `identity` overrides what decides the answers: `model`, `kernel`, `decoder`, ...
    """
    held = Corpus.from_json((Path(corpus) / "corpus.json").read_text())
    facts = {
        "corpus": corpus, "corpus_version": held.version, "split": split, "model": "champion", "net": "net",
        "task": "classification", "decoder": "1", "kernel": "torch", "answers": 1, **identity,
    }  # fmt: skip
    commit.begin(str(folder), facts, held.classes)
    receipts, start = {}, 0
    for shard in held.present(split):
        part = predicted[start : start + shard.rows]
        start += shard.rows
        ids = pq.read_table(Path(corpus) / shard.file, columns=["id"])["id"]
        right = part >= 0
        table = pa.table({
            "id": ids,
            "label": pa.array(part, pa.int32(), mask=~right),
            "score": pa.array(np.full(len(part), score), mask=~right),
            "error": pa.array(np.where(right, None, "broken").tolist(), pa.string()),
        })  # fmt: skip
        writer = commit.ShardWriter(str(folder / shard.file))
        writer.add(table)
        receipts[shard.file] = writer.commit(
            commit.Receipt(shard.file, commit.fingerprint(facts, shard.sha256), shard.sha256)
        )
    commit.finish(str(folder), facts, held.classes, receipts)
    return recorded({}, str(folder))
