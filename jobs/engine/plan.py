"""What is to be done: the shards of a split, less those whose answers are committed under the same fingerprint.

A fingerprint says everything that decides an answer: the input shard's bytes, the model, its preprocessing and
kernel (library, precision, device, batch), the subset, the columns asked for, and the version of this code that reads
pictures and labels. A plan holds a lease (some 300 bytes) for each shard: 100,000 shards are 30 MB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.engine import commit
from jobs.engine.commit import Receipt
from jobs.engine.replica import Lease
from vision.corpus import Shard

ANSWER_VERSION = 1
"""Raised whenever the same picture and model would be answered differently: decoding, resizing or label columns."""


@dataclass(frozen=True)
class Plan:
    """Leases for what is missing, and receipts of what is there."""

    leases: tuple[Lease, ...]
    done: Mapping[str, Receipt]
    rows: int

    @property
    def rows_missing(self) -> int:
        return self.rows - sum(receipt.rows for receipt in self.done.values())


def plan(output: str, shards: list[Shard], identity: Mapping[str, Any], limits: Mapping[str, int] | None) -> Plan:
    """Compare the shards of a corpus with the files of an output folder.

    Args:
        output: URL of a predictions folder; it may not exist yet.
        shards: what is to be answered.
        identity: what decides the answers, besides the shards.
        limits: rows of each shard that a limit leaves; a shard with none of them is not read.
    """
    # Where the corpus lies and which version it is do not change a shard's answers; its bytes do.
    deciding = {name: value for name, value in identity.items() if name not in ("corpus", "corpus_version", "split")}
    shards = [shard for shard in shards if limits is None or limits.get(shard.file, 0) > 0]
    found = commit.committed(output)
    leases, done = [], {}
    for shard in shards:
        allowed = None if limits is None else limits[shard.file]
        mark = commit.digest({**deciding, "input": shard.sha256, "rows": allowed})
        receipt = found.get(shard.file)
        if receipt is not None and receipt.fingerprint == mark:
            done[shard.file] = receipt
        else:
            leases.append(Lease(shard.file, shard.sha256, mark))
    rows = sum(shard.rows if limits is None else limits[shard.file] for shard in shards)
    return Plan(tuple(leases), done, rows)
