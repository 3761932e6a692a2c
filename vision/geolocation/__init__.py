"""Where on the globe was it taken? The room of cells on the sphere and positions in them: its front door."""

from __future__ import annotations

from vision.accumulator import Suite
from vision.corpus import Corpus
from vision.geolocation import metrics
from vision.geolocation.answers import NEEDS
from vision.geolocation.paired import higher_is_better, per_cell, per_image
from vision.geolocation.references import references
from vision.geolocation.worst import Farthest

__all__ = ["NEEDS", "higher_is_better", "per_cell", "per_image", "references", "suite", "worst"]


def suite(corpus: Corpus) -> Suite:
    """The metrics of placed photos; they are the same for every corpus."""
    return metrics.suite()


def worst(corpus: Corpus) -> Farthest:
    """The photos placed farthest off."""
    return Farthest()
