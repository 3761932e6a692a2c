"""Leases on their way: whole shards, or row groups that are put together when the last of a shard is answered."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from jobs.engine.lease import Lease
from jobs.engine.plan import SHARDS_A_WORKER, Plan, by_row_group, leases


class Leases(Iterator[Lease]):
    """What workers are to do next; sealing a shared shard is added once its row groups are answered.

    Args:
        plans: one for each model.
        corpus: URL.
        workers: how many share the work.
        whole: whether every row of a shard is answered; a subset is answered shard by shard.
    """

    def __init__(self, plans: Sequence[Plan], corpus: str, workers: int, whole: bool) -> None:
        self._ready = deque(leases(plans))
        self._left: Counter[str] = Counter()
        if whole and workers > 1 and len(self._ready) < SHARDS_A_WORKER * workers:
            self._ready = deque(part for lease in self._ready for part in _shared(corpus, lease))
            self._left.update(lease.file for lease in self._ready if lease.group is not None)
        self._groups = dict(self._left)

    def __len__(self) -> int:
        """How many can be worked on at once."""
        return len(self._ready)

    def __next__(self) -> Lease:
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def done(self, lease: Lease) -> None:
        """Take note that a lease is answered."""
        if lease.group is None:
            return
        self._left[lease.file] -= 1
        if not self._left[lease.file]:
            self._ready.append(replace(lease, group=None, seal=self._groups[lease.file]))


def _shared(corpus: str, lease: Lease) -> list[Lease]:
    """A shard's row groups, or the shard itself where there is nothing to share."""
    try:
        groups = by_row_group(corpus, lease)
    except (OSError, pa.ArrowInvalid):
        return [lease]  # the worker that opens it will say what is wrong
    return groups if len(groups) > 1 else [lease]
