"""What is to be done: the shards of a split, less those whose answers are committed under the same fingerprint.

A fingerprint says everything that decides an answer: the input shard's bytes, the model, its preprocessing and
kernel (library, precision, device, batch), the subset, the columns asked for, and the version of this code that reads
pictures and labels. A plan holds some 300 bytes for each shard: 100,000 shards are 30 MB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from jobs import storage
from jobs.engine import commit
from jobs.engine.commit import Receipt
from jobs.engine.lease import Lease
from jobs.engine.selection import Selection
from vision.corpus import Shard

ANSWER_VERSION = 1
"""Raised whenever the same picture and model would be answered differently: decoding, resizing or label columns."""

SHARDS_A_WORKER = 4
"""With fewer shards than that for each worker, row groups are leased, so that nobody waits for the last shard."""


@dataclass(frozen=True)
class Plan:
    """For one model: what is missing (shard and fingerprint), and receipts of what is there."""

    missing: Mapping[str, tuple[Shard, str]]
    done: Mapping[str, Receipt]
    rows: int

    @property
    def rows_missing(self) -> int:
        return self.rows - sum(receipt.rows for receipt in self.done.values())


def plan(output: str, shards: list[Shard], identity: Mapping[str, Any], selection: Selection) -> Plan:
    """Compare the shards of a corpus with the files of an output folder.

    Args:
        output: URL of a predictions folder; it may not exist yet.
        shards: what is to be answered.
        identity: what decides the answers, besides the shards.
        selection: the rows that are read; a shard that a limit leaves none of is not.
    """
    limits = selection.limits
    if selection.cutoffs is not None:
        # A sample of a corpus that has grown is drawn anew: the same words choose other rows.
        identity = {**identity, "cutoffs": dict(selection.cutoffs)}
    shards = [shard for shard in shards if limits is None or limits.get(shard.file, 0) > 0]
    found = commit.committed(output)
    missing, done = {}, {}
    for shard in shards:
        allowed = None if limits is None else limits[shard.file]
        mark = commit.fingerprint(identity, shard.sha256, allowed)
        receipt = found.get(shard.file)
        if receipt is not None and receipt.fingerprint == mark:
            done[shard.file] = receipt
        else:
            missing[shard.file] = (shard, mark)
    rows = sum(shard.rows if limits is None else limits[shard.file] for shard in shards)
    return Plan(missing, done, rows)


def leases(plans: Sequence[Plan]) -> list[Lease]:
    """The shards that any plan lacks, in order, each with a fingerprint for every plan that lacks it."""
    wanted = sorted({file for one in plans for file in one.missing})
    return [
        Lease(
            file,
            next(one.missing[file][0].sha256 for one in plans if file in one.missing),
            tuple(one.missing[file][1] if file in one.missing else None for one in plans),
        )
        for file in wanted
    ]


def by_row_group(corpus: str, lease: Lease) -> list[Lease]:
    """A lease for each row group of a shard; only its footer is read."""
    filesystem, path = storage.locate(storage.join(corpus, lease.file))
    with filesystem.open_input_file(path) as stream:
        groups = pq.read_metadata(stream).num_row_groups
    return [Lease(lease.file, lease.sha256, lease.fingerprints, group) for group in range(groups)]
