"""The stage of edges: what lies between the fragments of a block, and over its lower faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.segmenting.evidence import Evidence, Reader
from jobs.segmenting.graph import Graph
from jobs.stages.stage import Made
from jobs.volumes.opening import Opened, at
from vision.accumulator import Array
from vision.connectomics.blocks import Block, Box, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges, edges_across, edges_of
from vision.corpora.volumes import Address

BYTES_A_VOXEL = 120
"""Memory for each voxel of a block: ids, comparisons and faces; 55 on FIB-25, twice that where all is noise."""


@dataclass(frozen=True)
class Touching:
    """How edges are found; picklable."""

    fragments: Address
    evidence: Evidence
    grid: Grid
    bins: int = 0

    def make(self) -> Finding:
        """What works, where it lives."""
        return Finding(self)


class Finding:
    """Finds the edges of blocks."""

    def __init__(self, how: Touching) -> None:
        self._how, self._reader = how, how.evidence.open()
        self._fragments = at(how.fragments, "fragments", labels=True)

    def block(self, block: Block) -> Made:
        """The fragments of a block and its edges; those over a lower face belong to it too."""
        box = below(block.write)
        fragments = labels_of(self._fragments, self._reader, box)
        core = block.write.within(box.begin)
        if not fragments[core].any():
            return Made(part=Graph.added([]), counts={"blank_blocks": 1})
        parts = self._edges(block, box, fragments)
        ids, sizes = sizes_of(fragments[core])
        found = Graph(ids, sizes, Edges.added(parts))
        return Made(part=found, counts={"edges": len(found.edges), "voxels": int(sizes.sum())})

    def _edges(self, block: Block, box: Box, fragments: Array) -> list[Edges]:
        """Edges inside a block and over its lower faces, by boundaries or by the affinities of the very faces."""
        grid, bins, nearest = self._how.grid, self._how.bins, self._how.evidence.nearest
        core = block.write.within(box.begin)
        planes = [
            (face, face.lower.within(box.begin), face.upper.within(box.begin)) for face in grid.faces(block.number)
        ]
        if nearest is None:
            values = self._reader.boundary(box)
            over = [edges_across(fragments[a], fragments[b], values[a], values[b], bins) for _, a, b in planes]
            return [edges_of(fragments[core], values[core], bins), *over]
        values, nearest = self._reader.affinities(box), nearest.alone
        parts = [nearest.edges_of(fragments[core], values[:, *core], bins)]
        for face, a, b in planes:
            both = Box(face.lower.begin, face.upper.end).within(box.begin)
            parts.append(nearest.edges_across(fragments[a], fragments[b], values[:, *both], face.axis, bins))
        return parts

    def seal(self, parts: Sequence[Graph]) -> bytes:
        return Graph.added(parts).to_parquet()


def below(write: Box) -> Box:
    """A write box with one more voxel of each lower neighbour."""
    z, y, x = (max(0, b - 1) for b in write.begin)
    return Box((z, y, x), write.end)


def sizes_of(fragments: Array) -> tuple[Array, Array]:
    """Ids that occur, rising, without 0, and the voxels of each; made of runs, as tables of overlaps are."""
    table = Contingency.of(fragments, fragments)
    known = table.truth != 0
    return table.truth[known], table.counts[known]


def labels_of(fragments: Opened, reader: Reader, box: Box) -> Array:
    """(Z, Y, X) uint64 fragments of a box; 0 where nothing is to be segmented."""
    found = fragments.read(box).astype(np.uint64, copy=False)
    inside = reader.inside(box)
    return found if inside is None else np.where(inside, found, np.uint64(0))
