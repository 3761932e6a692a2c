"""The stage of labels: each fragment replaced by its segment, with the rows of the lookup table that a group needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jobs import storage
from jobs.segmenting import lookup
from jobs.segmenting.evidence import Evidence
from jobs.stages.region import Region
from jobs.stages.stage import Made
from jobs.volumes.opening import at
from vision.connectomics.blocks import Block
from vision.connectomics.relabel import Lookup
from vision.corpora.volumes import Address

BYTES_A_VOXEL = 56
"""Memory for each voxel of a block: ids before and after, and what packs them; measured on FIB-25."""


@dataclass(frozen=True)
class Relabelling:
    """How labels are made; picklable.

    Attributes:
        fragments: what is relabelled.
        tables: URL of the folder of the lookup table.
        evidence: says where to segment.
        region: the blocks.
    """

    fragments: Address
    tables: str
    evidence: Evidence
    region: Region

    def make(self) -> Relabeller:
        """What works, where it lives."""
        return Relabeller(self)


class Relabeller:
    """Relabels blocks."""

    def __init__(self, how: Relabelling) -> None:
        self._how, self._reader = how, how.evidence.open()
        self._fragments = at(how.fragments, "fragments", labels=True)
        self._group, self._table = -1, Lookup(np.empty(0, np.uint64), np.empty(0, np.uint64))

    def block(self, block: Block) -> Made:
        fragments = self._fragments.read(block.write)
        inside = self._reader.inside(block.write)
        if inside is not None:
            fragments = fragments * inside
        if not fragments.any():
            return Made(counts={"blank_blocks": 1})
        return Made(self._rows(block.number).apply(fragments))

    def _rows(self, number: int) -> Lookup:
        """The rows of the group that a block is in."""
        group = self._how.region.group_of(number)
        if group != self._group:
            self._group = group
            self._table = lookup.read(storage.join(self._how.tables, lookup.part(group)))
        return self._table
