"""Answers of single row groups, for shards that several workers share; the last step puts them together.

A piece is an Arrow stream and not Parquet: what is read back must be what one worker would have had in its hands, so
that the shard's file is the same to the last byte.
"""

from __future__ import annotations

import pyarrow as pa

from jobs import storage
from jobs.engine.commit import Receipt, ShardWriter


def name(file: str, group: int) -> str:
    """Where a piece waits for the others: hidden, so nobody takes it for a whole shard."""
    folder, _, last = file.rpartition("/")
    return f"{folder}/.{last}.{group:05d}"


def write(output: str, file: str, group: int, answers: pa.Table) -> None:
    """Keep the answers of one row group."""
    with (
        storage.upload(storage.join(output, name(file, group))) as stream,
        pa.ipc.new_stream(stream, answers.schema) as ipc,
    ):
        ipc.write_table(answers)


def seal(output: str, groups: int, receipt: Receipt) -> Receipt:
    """Commit a shard from its pieces, as if one worker had answered it, and take the pieces away."""
    pieces = [storage.join(output, name(receipt.file, group)) for group in range(groups)]
    writer = ShardWriter(storage.join(output, receipt.file))
    try:
        for piece in pieces:
            writer.add(pa.ipc.open_stream(storage.read(piece)).read_all())
        receipt = writer.commit(receipt)
    finally:
        writer.discard()
    for piece in pieces:
        storage.remove(piece)
    return receipt
