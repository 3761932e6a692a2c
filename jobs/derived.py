"""Predictions made of other predictions, without a picture: written as the engine writes its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
