"""How often fragments lie on true neurons, block by block: tables that add up, and from them every score of a sweep.

The table of a segmentation follows from that of its fragments by its lookup table, so the truth is read once, whatever
the number of thresholds, and the scores are those of the whole volume to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.segmenting import rows
from jobs.segmenting.evidence import Evidence
from jobs.stages.stage import Made
from jobs.volumes.opening import at
from vision.connectomics.blocks import Block
from vision.connectomics.contingency import Contingency
from vision.connectomics.relabel import Lookup
from vision.corpora.volumes import Address
from vision.summing import Summing

BYTES_A_VOXEL = 24
"""Memory for each voxel of a block: two labels, and where runs begin; measured."""


@dataclass(frozen=True)
class Overlapping:
    """What is compared; picklable.

    Attributes:
        truth, segments: label volumes.
        evidence: says where to look; None: everywhere.
    """

    truth: Address
    segments: Address
    evidence: Evidence | None

    def make(self) -> Counting:
        """What works, where it lives."""
        return Counting(self)


class Counting:
    """Counts the overlaps of blocks."""

    def __init__(self, how: Overlapping) -> None:
        self._reader = how.evidence.open() if how.evidence else None
        self._truth = at(how.truth, "truth", labels=True)
        self._segments = at(how.segments, "predictions", labels=True)

    def block(self, block: Block) -> Made:
        return Made(part=self.table(block))

    def table(self, block: Block) -> Contingency:
        """The table of a block's write box; voxels where nothing is segmented are left out."""
        truth, segments = self._truth.read(block.write), self._segments.read(block.write)
        inside = self._reader.inside(block.write) if self._reader else None
        if inside is not None:
            truth, segments = truth[inside], segments[inside]
        return Contingency.of(truth, segments)

    def seal(self, parts: Sequence[Contingency]) -> bytes:
        total = Contingency.total(parts)
        return rows.packed({"truth": total.truth, "segment": total.segments, "voxels": total.counts})


def read_all(urls: Iterable[str]) -> Contingency:
    """The sum of the tables in many files."""
    return Summing(map(_read, urls)).total(Contingency())


def relabelled(table: Contingency, lookup: Lookup) -> Contingency:
    """The table of segments from that of their fragments."""
    return Contingency.rows(table.truth, lookup.apply(table.segments), table.counts)


def _read(url: str) -> Contingency:
    found = rows.read(url)
    truth, segment, voxels = (found[name].to_numpy() for name in ("truth", "segment", "voxels"))
    return Contingency(truth, segment, voxels)
