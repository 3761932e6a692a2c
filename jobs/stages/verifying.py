"""What an earlier run finished, held against the files again before another stage builds on it.

Every block's file is read and its digest compared with the mark. That is cheap enough to be done always: sha256 does a
GB a core-second, and a voxel of fragments or labels takes a tenth of a byte or two, so that checking costs about a
thousandth of making.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.engine import joining, pool
from jobs.stages import ledger
from jobs.stages.runner import Runner
from jobs.stages.stage import Stage

SMALL = 64
"""Groups that one process checks sooner than Ray starts."""


@dataclass(frozen=True)
class Checking:
    """How groups are checked; picklable."""

    runner: Runner

    def make(self) -> Callable[[int], int]:
        """What works, where it lives."""
        return self.runner.make().lacking


def lacking(output: str, stage: Stage, workers: int | None, retry_s: float) -> int:
    """How many blocks of a stage are not there as their marks say: gone, torn, or changed in place."""
    groups = stage.region.groups
    count = min(joining.workers_for(workers, groups, SMALL), groups)
    checking = Checking(Runner(stage, ledger.folder(output, stage.name)))
    return sum(found for _, found in pool.spread(range(groups), checking.make, count, retry_s=retry_s))
