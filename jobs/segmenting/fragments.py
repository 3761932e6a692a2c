"""The stage of fragments: a seeded watershed of each block with its halo, ids that tell their block."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.segmenting.evidence import Evidence
from jobs.stages.stage import Made
from vision.connectomics.blocks import Block, Grid
from vision.connectomics.fragments import Fragmenter

BYTES_A_VOXEL = 50
"""Memory of the watershed for each voxel of the read box: distances, seeds, heights and queues; measured on FIB-25."""


@dataclass(frozen=True)
class Fragments:
    """How blocks become fragments; picklable."""

    evidence: Evidence
    fragmenter: Fragmenter
    grid: Grid

    def make(self) -> Fragmenting:
        """What works, where it lives."""
        return Fragmenting(self)


class Fragmenting:
    """Makes fragments of blocks."""

    def __init__(self, how: Fragments) -> None:
        self._how, self._reader = how, how.evidence.open()

    def block(self, block: Block) -> Made:
        inside = self._reader.inside(block.read)
        if (inside is not None and not inside[block.core].any()) or self._reader.is_blank(block):
            return Made(counts={"blank_blocks": 1})
        local = self._how.fragmenter.of_block(self._reader.boundary(block.read), block.core, inside)
        if inside is not None:
            local *= inside[block.core]
        return Made(self._how.grid.ids(block.number, local), counts={"fragments": int(local.max())})
