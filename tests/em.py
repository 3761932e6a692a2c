"""Volumes to test with: real ones where they lie beside the checkout, and what blocks make of any."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.neurites import Array
from vision.connectomics.blocks import Face, Grid
from vision.connectomics.contingency import Contingency
from vision.connectomics.edges import Edges, edges_across, edges_of
from vision.connectomics.fragments import Fragmenter

SIZES = ((32, 32, 32), (33, 47, 29), (64, 64, 64), (200, 16, 16))


def shared_em(name: str) -> Any:
    """Arrays of a file of real crops; skips the test where there is none."""
    file = Path(__file__).parents[2] / "shared" / "data" / "em" / f"{name}.npz"
    if not file.is_file():
        pytest.skip("no real volumes beside the checkout")
    return np.load(file)


def renamed(a: Array, b: Array) -> bool:
    """Whether two labellings are one up to names; 0 is 0 in both."""
    table = Contingency.of(a, b)
    names = len(np.unique(table.truth)), len(np.unique(table.segments))
    return names == (len(table), len(table)) and bool(((table.truth == 0) == (table.segments == 0)).all())


def faces(grid: Grid) -> Iterable[Face]:
    return (face for number in range(len(grid)) for face in grid.faces(number))


def fragments_by_block(boundary: Array, grid: Grid, fragmenter: Fragmenter) -> Array:
    """Fragments of a whole volume, made block by block, with ids of the volume."""
    found = np.zeros(boundary.shape, np.uint64)
    for block in grid:
        local = fragmenter.of_block(boundary[block.read.slices], block.core)
        found[block.write.slices] = grid.ids(block.number, local)
    return found


def edges_by_block(fragments: Array, boundary: Array, grid: Grid, bins: int = 0) -> list[Edges]:
    """The edges that each block owns."""
    parts = []
    for block in grid:
        own = [edges_of(fragments[block.write.slices], boundary[block.write.slices], bins)]
        for face in grid.faces(block.number):
            low, high = face.lower.slices, face.upper.slices
            own.append(edges_across(fragments[low], fragments[high], boundary[low], boundary[high], bins))
        parts.append(Edges.added(own))
    return parts


def same_edges(a: Edges, b: Edges) -> bool:
    names = ("pairs", "count", "total", "squares", "least", "most", "histogram")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)
