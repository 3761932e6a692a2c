"""A stage: what is done to each block, what decides it, and what it leaves behind.

A stage leaves voxels (a volume that blocks write, one shard each), rows (a file for each group of blocks), or both. Its
work is a pure function of configuration, input and block: doing a block again gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from jobs.engine.commit import digest
from jobs.stages.region import Region
from jobs.volumes.writing import Target
from vision.accumulator import Array
from vision.connectomics.blocks import Block

VERSION = 2
"""Changes when the same configuration would give other bytes."""


@dataclass(frozen=True)
class Made:
    """What came of a block.

    Attributes:
        values: its write box's voxels; None for none: a blank block, or a stage that writes no volume.
        part: what its group's file is made of.
        counts: facts that add up over blocks.
    """

    values: Array | None = None
    part: Any = None
    counts: Mapping[str, int] = field(default_factory=dict)


class Work(Protocol):
    """What a worker does, made once where it lives."""

    def block(self, block: Block) -> Made:
        """The work of one block."""
        ...


class Filing(Work, Protocol):
    """What a worker does in a stage that leaves a file for each group of blocks."""

    def seal(self, parts: Sequence[Any]) -> bytes:
        """The file of a group, from what its blocks left, in their order."""
        ...


@runtime_checkable
class Leaving(Work, Protocol):
    """What a worker does in a stage that writes files of its own, which no target writes for it."""

    def files(self, block: Block) -> Sequence[str]:
        """URLs of all files that a block is to leave, in one order; those of nothing but zeros may not be there."""
        ...


@dataclass(frozen=True)
class Stage:
    """One step over all blocks of a region.

    Attributes:
        name: of its folder of marks.
        facts: plain values that decide what comes out, the input's among them, in words that a refusal can name.
        make: picklable; builds what works, where it will live.
        region: the blocks.
        target: the volume that blocks write; None for none.
        folder: where groups' files lie, a URL; None for none.
        ending: of those files.
        memory: bytes that a worker needs for a block, besides Python and libraries.
        gpus: that each worker takes.
    """

    name: str
    facts: Mapping[str, Any]
    make: Callable[[], Work]
    region: Region
    target: Target | None = None
    folder: str | None = None
    ending: str = ".parquet"
    memory: int = 0
    gpus: float = 0.0

    @property
    def fingerprint(self) -> str:
        """The mark of all that decides this stage's bytes."""
        return digest({"stage": self.name, "version": VERSION, **self.identity})

    @property
    def identity(self) -> dict[str, Any]:
        """The facts, with those of the blocks."""
        grid, box = self.region.grid, self.region.box
        blocks = {"shape": list(grid.shape), "block": list(grid.size), "halo": list(grid.halo)}
        return {**blocks, "roi": [list(box.begin), list(box.end)], **self.facts}

    def file(self, group: int) -> str:
        """Name of a group's file in `folder`."""
        return f"part-{group:06d}{self.ending}"
