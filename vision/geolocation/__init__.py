"""Where on the globe was it taken? The room of cells on the sphere and positions in them: its front door."""

from __future__ import annotations

import pyarrow as pa

from vision.accumulator import Suite
from vision.corpus import Corpus
from vision.geolocation import metrics
from vision.geolocation.answers import NEEDS
from vision.geolocation.ceiling import Ceiling
from vision.geolocation.duel import ROUND, Duel
from vision.geolocation.paired import higher_is_better, per_cell, per_image
from vision.geolocation.references import references
from vision.geolocation.stored import from_table
from vision.geolocation.worst import Farthest

__all__ = [
    "NEEDS", "ROUND", "ceiling", "duel", "higher_is_better", "per_cell", "per_image", "references", "suite", "worst",
]  # fmt: skip


def suite(corpus: Corpus) -> Suite:
    """The metrics of placed photos; they are the same for every corpus."""
    return metrics.suite()


def worst(corpus: Corpus) -> Farthest:
    """The photos placed farthest off."""
    return Farthest()


def ceiling(name: str, cells: pa.Table) -> Ceiling:
    """What no answer in the cells of a stored partition can pass.

    Raises:
        ValueError: if the table holds no partition.
    """
    return Ceiling(from_table(cells), name)


def duel() -> Duel:
    """A match of two sets of answers, in rounds of `ROUND`."""
    return Duel()
