"""Where on the globe was it taken? The room of cells on the sphere and positions in them: its front door."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from vision.accumulator import Accumulator, Suite
from vision.corpus import Corpus
from vision.geolocation import metrics
from vision.geolocation.answers import NEEDS
from vision.geolocation.ceiling import Ceiling
from vision.geolocation.distance import Distance, Formula
from vision.geolocation.drawn import CellAccuracy, Lines
from vision.geolocation.duel import ROUND, Duel
from vision.geolocation.leakage import SAME as RELATED_BY
from vision.geolocation.leakage import marked as related
from vision.geolocation.paired import higher_is_better, per_cell, per_image
from vision.geolocation.planet import objective, portrait, predictor
from vision.geolocation.references import references
from vision.geolocation.stored import from_table
from vision.geolocation.worst import Farthest
from vision.sphere import EARTH_KM

__all__ = [
    "NEEDS", "RELATED_BY", "ROUND", "ceiling", "duel", "higher_is_better", "objective", "per_cell", "per_image",
    "pictures", "portrait", "predictor", "references", "related", "suite", "worst",
]  # fmt: skip


def suite(
    corpus: Corpus,
    thresholds_km: tuple[float, ...] = metrics.THRESHOLDS_KM,
    inclusive: bool = True,
    formula: Formula = "haversine",
    radius_km: float = EARTH_KM,
) -> Suite:
    """The metrics of placed photos; they are the same for every corpus.

    Args:
        thresholds_km: distances within which a photo is a hit.
        inclusive: whether exactly that distance is one (<=).
        formula: `haversine` on a sphere of `radius_km`, or `vincenty` on the ellipsoid of WGS84.

    Raises:
        ValueError: if a parameter makes no sense.
    """
    return metrics.suite(tuple(thresholds_km), bool(inclusive), Distance(formula, radius_km))


def worst(corpus: Corpus) -> Farthest:
    """The photos placed farthest off."""
    return Farthest()


def ceiling(name: str, cells: pa.Table) -> Ceiling:
    """What no answer in the cells of a stored partition can pass.

    Raises:
        ValueError: if the table holds no partition.
    """
    return Ceiling(from_table(cells), name)


def pictures(cells: Mapping[str, pa.Table]) -> tuple[Accumulator, ...]:
    """What is drawn of placed photos: lines from truth to answer, and stored partitions by how well theirs were placed.

    Raises:
        ValueError: if a table holds no partition.
    """
    return (Lines(), *(CellAccuracy(from_table(table), name) for name, table in cells.items()))


def duel() -> Duel:
    """A match of two sets of answers, in rounds of `ROUND`."""
    return Duel()
