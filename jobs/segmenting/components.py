"""Connected components of a mask or of equal ids, block by block: fragments that join wherever they touch.

Components of a block are its fragments; facing planes of neighbours say which are one. That is a graph whose edges all
have boundary 0, so union-find, tables and relabelling are those of any segmentation. Faces suffice for 6-connectivity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.segmenting.edges import below, labels_of, sizes_of
from jobs.segmenting.evidence import Evidence, Reader
from jobs.segmenting.graph import Graph
from jobs.stages.stage import Made
from jobs.volumes.opening import Opened, at
from vision.accumulator import Array
from vision.connectomics.blocks import Block, Box, Grid
from vision.connectomics.edges import Edges
from vision.connectomics.labelling import Backend, facing, label_block
from vision.corpora.volumes import Address


@dataclass(frozen=True)
class Components:
    """How blocks become components; picklable."""

    values: Address
    evidence: Evidence
    grid: Grid
    backend: Backend

    def make(self) -> Labelling:
        """What works, where it lives."""
        return Labelling(self)


class Labelling:
    """Labels blocks."""

    def __init__(self, how: Components) -> None:
        self._how, self._reader = how, how.evidence.open()
        self._values = at(how.values, "components", labels=True)

    def block(self, block: Block) -> Made:
        values = _values(self._values, self._reader, block.write)
        if not values.any():
            return Made(counts={"blank_blocks": 1})
        return Made(label_block(values, self._how.grid, block.number, self._how.backend))


@dataclass(frozen=True)
class Facing:
    """How components of neighbouring blocks are found to be one; picklable."""

    fragments: Address
    values: Address
    evidence: Evidence
    grid: Grid

    def make(self) -> Joining:
        """What works, where it lives."""
        return Joining(self)


class Joining:
    """Finds what touches over the lower faces of blocks."""

    def __init__(self, how: Facing) -> None:
        self._how, self._reader = how, how.evidence.open()
        self._fragments = at(how.fragments, "fragments", labels=True)
        self._values = at(how.values, "components", labels=True)

    def block(self, block: Block) -> Made:
        box = below(block.write)
        fragments = labels_of(self._fragments, self._reader, box)
        if not fragments[block.write.within(box.begin)].any():
            return Made(part=Graph.added([]), counts={"blank_blocks": 1})
        values = _values(self._values, self._reader, box)
        pairs = [np.empty((0, 2), np.uint64)]
        for face in self._how.grid.faces(block.number):
            low, high = face.lower.within(box.begin), face.upper.within(box.begin)
            pairs.append(facing(fragments[low], fragments[high], values[low], values[high]))
        found = Graph(*sizes_of(fragments[block.write.within(box.begin)]), _certain(np.concatenate(pairs)))
        return Made(part=found, counts={"joins": len(found.edges)})

    def seal(self, parts: Sequence[Graph]) -> bytes:
        return Graph.added(parts).to_parquet()


def _values(volume: Opened, reader: Reader, box: Box) -> Array:
    """What is labelled; 0 where nothing is to be."""
    values, inside = volume.read(box), reader.inside(box)
    return values if inside is None else np.where(inside, values, values.dtype.type(0))


def _certain(pairs: Array) -> Edges:
    """Edges of one face without any boundary."""
    return Edges.of_faces(pairs[:, 0], pairs[:, 1], np.zeros(len(pairs), np.uint16))
