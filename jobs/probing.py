"""What a job would cost, from the manifest and a short probe: the first pictures, answered here and thrown away."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from jobs.engine.commit import Receipt
from jobs.engine.plan import Plan, leases
from jobs.engine.replica import Replica
from jobs.reading import Reading

PROBED = 32
"""Pictures that the probe answers, after a batch that warms the kernel up."""


def size_text(count: float) -> str:
    """Bytes as people read them.

    >>> size_text(900), size_text(3 * 2**20)
    ('900 bytes', '3.0 MiB')
    """
    if count < 1024:
        return f"{count:,.0f} bytes"
    power = min(int(math.log(count, 1024)), 4)
    return f"{count / 1024**power:,.1f} {('KiB', 'MiB', 'GiB', 'TiB')[power - 1]}"


def cost(reading: Reading, plan: Plan, replica: Replica, workers: int, probed: int = PROBED) -> Mapping[str, str]:
    """Images, bytes, requests, output size and hours, as text.

    Args:
        plan: what is missing; finished shards cost nothing.
        workers: processes that would share the work, at least 1.
        probed: pictures that are tried, at most.
    """
    shards = [shard for shard, _ in plan.missing.values()]
    facts = {
        "images": f"{'at most ' if reading.subset.where else ''}{plan.rows_missing:,} of {plan.rows:,}",
        "bytes to read": size_text(sum(shard.bytes for shard in shards)),
        "requests": f"{3 * len(shards):,} (for each of {len(shards):,} shards: one look, one GET, one PUT)",
    }
    if not plan.missing or not plan.rows_missing:
        return {**facts, "hours": "none: nothing is missing"}
    rows, seconds, size = _probe(plan, replica, probed)
    hours = seconds / rows * plan.rows_missing / workers / 3600
    facts["output size"] = f"about {size_text(size / rows * plan.rows_missing)}"
    facts["hours"] = f"about {hours:.2f} with {workers} workers, at {rows / seconds:,.1f} images/s each"
    return facts


def _probe(plan: Plan, replica: Replica, probed: int) -> tuple[int, float, int]:
    """(rows, seconds, bytes of answers) of the first pictures of the first missing shard."""
    with tempfile.TemporaryDirectory() as folder:
        lease = leases([plan])[0]
        targets = (replace(replica.targets[0], output=folder),)
        probe = replace(replica, targets=targets, selection=replace(replica.selection, limits={lease.file: probed}))
        worker = probe.make()
        worker(lease)  # compiles, fills caches
        started = time.perf_counter()
        (receipt,) = worker(lease)
        seconds = time.perf_counter() - started
        size = (Path(folder) / lease.file).stat().st_size
    return max(receipt.rows if isinstance(receipt, Receipt) else 0, 1), seconds, size
