"""Predictions made of other predictions, without a picture: written as the engine writes its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.answers import Answers
from jobs.engine import commit


def write(output: str, identity: Mapping[str, Any], source: Answers, tables: Iterable[tuple[str, pa.Table]]) -> None:
    """Write a predictions folder that was begun (`commit.begin`), shard by shard, and say that it is whole.

    Args:
        identity: what decides the answers.
        source: what they are made of: answers beside their corpus.
        tables: (file, answers) for each shard of `source.shards`; each with `id` and `error`, in its order.
    """
    assert source.reading is not None
    digests = {shard.file: shard.sha256 for shard in source.reading.corpus.present(source.reading.split)}
    receipts = {}
    for file, table in tables:
        writer = commit.ShardWriter(storage.join(output, file))
        try:
            writer.add(table)
            mark = commit.fingerprint(identity, digests[file])
            receipts[file] = writer.commit(commit.Receipt(file, mark, digests[file]))
        finally:
            writer.discard()
    commit.finish(output, identity, None, receipts)


def by_shard(
    shards: Sequence[tuple[str, pa.Table]], columns: Mapping[str, pa.Array], why: str
) -> Iterator[tuple[str, pa.Table]]:
    """Answers to the photos of several shards, cut into tables that `write` takes.

    Args:
        shards: (file, `id` and `answered` of its photos).
        columns: a row for each photo that is `answered`, one shard behind the other.
        why: what is said of the others, whose rows are null.
    """
    start = 0
    for file, table in shards:
        answered = np.asarray(table["answered"].to_numpy(), bool)
        count = int(answered.sum())
        take = pa.array(np.cumsum(answered) - 1, mask=~answered)
        mine = {name: column.slice(start, count).take(take) for name, column in columns.items()}
        start += count
        errors = pa.array([None if good else why for good in answered], pa.string())
        yield file, pa.table({"id": table["id"], **mine, "error": errors})
