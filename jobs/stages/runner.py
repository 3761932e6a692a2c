"""A worker's side of a stage: a group of blocks checked against its mark, what is missing made, the mark written."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from jobs import storage
from jobs.spec import JobFailed, SpecError
from jobs.stages import marks
from jobs.stages.marks import Mark
from jobs.stages.stage import Filing, Leaving, Made, Stage, Work
from jobs.volumes.writing import Writer
from vision.connectomics.blocks import Block

SAVE_S = 20.0
"""Seconds of work that a worker's death may lose."""


@dataclass(frozen=True)
class Receipt:
    """What came of a group: how many blocks it has, how many were made now, counts over all, digest of its mark."""

    blocks: int
    made: int
    counts: Mapping[str, int]
    digest: str


@dataclass(frozen=True)
class Runner:
    """Does groups of a stage; picklable.

    Attributes:
        stage: what is done.
        marks: URL of the folder of marks.
    """

    stage: Stage
    marks: str

    def make(self) -> Desk:
        """What works, where it lives."""
        return Desk(self)


class Desk:
    """A runner at work."""

    def __init__(self, runner: Runner) -> None:
        self._stage, self._marks = runner.stage, runner.marks
        self._work: Work = runner.stage.make()
        self._writer: Writer | None = runner.stage.target.writer() if runner.stage.target else None

    def __call__(self, group: int) -> Receipt:
        """Do what is missing of a group.

        Raises:
            JobFailed: if a block cannot be done.
        """
        stage, url = self._stage, self._mark(group)
        mark = marks.load(url, stage.fingerprint)
        missing = self._missing(group, mark)
        if missing:
            self._make(group, missing, mark, url)
        text = mark.to_json()
        return Receipt(len(mark.blocks), len(missing), mark.totals(), hashlib.sha256(text).hexdigest())

    def lacking(self, group: int) -> int:
        """How many blocks of a group are not there as its mark says; nothing is made."""
        return len(self._missing(group, marks.load(self._mark(group), self._stage.fingerprint)))

    def _mark(self, group: int) -> str:
        return storage.join(self._marks, f"part-{group:06d}.json")

    def _missing(self, group: int, mark: Mark) -> list[int]:
        """Numbers of the blocks that must be made; without its file, all of a group."""
        numbers = list(self._stage.region.group(group))
        if self._stage.folder is not None:
            file = storage.join(self._stage.folder, self._stage.file(group))
            if mark.sealed is None or not marks.is_whole(file, mark.sealed):
                return numbers
        missing = [number for number in numbers if number not in mark.blocks or not self._is_there(number, mark)]
        return numbers if missing and self._stage.folder is not None else missing

    def _is_there(self, number: int, mark: Mark) -> bool:
        if self._stage.target is None:
            return mark.blocks[number] == self._left(number)
        return marks.is_whole(self._shard(number), mark.blocks[number])

    def _shard(self, number: int) -> str:
        assert self._stage.target is not None
        return storage.join(self._stage.target.url, self._stage.target.file(number))

    def _left(self, number: int) -> str:
        """Digest of the files that the work itself writes for a block; "" where it writes none."""
        if not isinstance(self._work, Leaving):
            return ""
        return marks.digest_of(self._work.files(self._stage.region.grid.block(number)))

    def _sweep(self, missing: list[int]) -> None:
        """Remove what a killed worker left beside the shards that are missing."""
        if self._stage.target is not None:
            for folder in {self._shard(number).rpartition("/")[0] for number in missing}:
                storage.sweep(folder)

    def _make(self, group: int, missing: list[int], mark: Mark, url: str) -> None:
        parts, saved, stage = [], time.monotonic(), self._stage
        self._sweep(missing)
        for number in missing:
            block = stage.region.grid.block(number)
            made = self._made(block)
            mark.blocks[number] = self._writer.write(block, made.values) if self._writer else self._left(number)
            mark.counts[number] = dict(made.counts)
            if stage.folder is not None:
                parts.append(made.part)
            elif time.monotonic() - saved > SAVE_S:
                marks.save(url, mark)
                saved = time.monotonic()
        if stage.folder is not None:
            data = cast(Filing, self._work).seal(parts)
            storage.write(storage.join(stage.folder, stage.file(group)), data)
            mark.sealed = hashlib.sha256(data).hexdigest()
        marks.save(url, mark)

    def _made(self, block: Block) -> Made:
        """A block's work; what goes wrong is told with the block's number."""
        try:
            return self._work.block(block)
        except (JobFailed, SpecError) as error:
            raise JobFailed(f"{self._stage.name}: block {block.number}: {error}") from None
        except Exception as error:
            where = ",".join(f"{b}:{e}" for b, e in zip(*block.write, strict=True))
            why = (str(error).splitlines() or [""])[0]
            raise JobFailed(
                f"{self._stage.name}: block {block.number} ({where}) failed: {type(error).__name__}: {why}"
            ) from error
