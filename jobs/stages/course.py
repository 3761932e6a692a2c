"""A driver's side of a stage: groups spread over workers, receipts counted, and success only when every block is there.

The driver holds a digest of 32 bytes a group (8 MB at 10^9 blocks) and sums of counts, and no list of blocks.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from jobs import storage
from jobs.engine import joining
from jobs.spec import Context, JobFailed, Progress, SpecError
from jobs.stages import ledger, marks, verifying
from jobs.stages.runner import Receipt, Runner
from jobs.stages.shift import Shift
from jobs.stages.stage import Stage

SMALL = 8
"""Groups that one process does sooner than Ray starts."""


class How(Protocol):
    """What of a job says how to work, and never what comes out."""

    @property
    def workers(self) -> int | None: ...

    @property
    def retry_s(self) -> float: ...


@dataclass(frozen=True)
class Done:
    """A finished stage: its fingerprint, its blocks, how many were made now, and what they counted."""

    fingerprint: str
    blocks: int
    made: int
    counts: Mapping[str, int]
    seconds: float = 0.0


def check(output: str, stage: Stage) -> None:
    """Refuse an output that holds other work of a stage.

    Raises:
        SpecError: naming the first fact that differs.
    """
    held = ledger.read(output, stage.name)
    if held is None:
        return
    now = json.loads(json.dumps(stage.identity))
    for name in sorted({*held["identity"], *now}):
        if held["identity"].get(name) != now.get(name) and _begun(output, stage):
            raise SpecError(
                f"{output} holds another {stage.name}: {name} is {held['identity'].get(name)!r} there and "
                f"{now.get(name)!r} now; choose another --output"
            )


def _begun(output: str, stage: Stage) -> bool:
    """Whether a group of a stage has a mark; what did no block yet is nobody's work."""
    return any(name != ledger.RECORD for name in storage.children(ledger.folder(output, stage.name)))


def finished(output: str, stage: Stage, how: How) -> Done:
    """A stage that an earlier run finished, its files held against what it said of them.

    Raises:
        JobFailed: if it is not complete, or a file is not the one that was made.
    """
    check(output, stage)
    held = ledger.read(output, stage.name)
    if held is None or not held["complete"] or held["fingerprint"] != stage.fingerprint:
        raise JobFailed(f"{output}: the stage {stage.name} is not complete: run it first")
    if changed := verifying.lacking(output, stage, how.workers, how.retry_s):
        raise JobFailed(
            f"{output}: {changed:,} of {held['blocks']:,} blocks of {stage.name} are not as they were made: "
            "run without --from, which makes them again"
        )
    return Done(stage.fingerprint, held["blocks"], 0, held["counts"])


def carry_out(output: str, stage: Stage, how: How, context: Context, shift: Shift | None = None) -> Done:
    """Do what is missing of a stage.

    Args:
        shift: workers that may be there from another stage, and stay; None: the stage has its own.

    Raises:
        SpecError: if the output holds other work.
        JobFailed: if a block cannot be done, or one is not there in the end.
    """
    check(output, stage)
    region = stage.region
    ledger.write(output, stage.name, stage.fingerprint, stage.identity, None)
    ledger.sweep(output, stage)
    if stage.target is not None:
        stage.target.begin()
    workers = min(joining.workers_for(how.workers, region.groups, SMALL), region.groups)
    digests, tally = [b""] * region.groups, _Tally(stage, max(workers, 1))
    runner = Runner(stage, ledger.folder(output, stage.name))
    with contextlib.nullcontext(shift) if shift else Shift(how.retry_s) as hands:
        for group, receipt in hands.work(runner, range(region.groups), workers):
            digests[group] = bytes.fromhex(receipt.digest)
            context.progress(tally.add(receipt))
    if tally.blocks != len(region) or not all(digests):
        raise JobFailed(
            f"{output}: {len(region) - tally.blocks:,} of {len(region):,} blocks of {stage.name} are missing"
        )
    done = Done(stage.fingerprint, tally.blocks, tally.made, tally.counts, time.monotonic() - tally.start)
    whole = hashlib.sha256(b"".join(digests)).hexdigest()
    ledger.write(output, stage.name, stage.fingerprint, stage.identity, whole, done.blocks, done.counts)
    return done


class _Tally:
    """How far a stage is."""

    def __init__(self, stage: Stage, workers: int) -> None:
        self._stage, self._workers = stage, workers
        self.start = time.monotonic()
        self.blocks = self.made = self.groups = 0
        self.counts: dict[str, int] = {}

    def add(self, receipt: Receipt) -> Progress:
        self.blocks += receipt.blocks
        self.made += receipt.made
        self.groups += 1
        self.counts = marks.added([self.counts, receipt.counts])
        rate = self.made / max(time.monotonic() - self.start, 1e-9)
        groups, blocks = self._stage.region.groups, len(self._stage.region)
        unit = f"{self._stage.name}: group"
        return Progress(self.groups, groups, self.blocks, blocks, 0, rate, self._workers, unit, "blocks")
