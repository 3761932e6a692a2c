"""What is in the image? The room of one label for each image: its front door."""

from __future__ import annotations

from vision.accumulator import Suite
from vision.classification import metrics
from vision.classification.answers import NEEDS
from vision.classification.cells import per_cell
from vision.classification.labels import averaged, decode, scores
from vision.classification.learning import objective
from vision.classification.paired import higher_is_better, per_image
from vision.classification.references import references
from vision.classification.worst import Worst
from vision.corpus import Corpus
from vision.model import Model
from vision.predictor import Asked, Predictor

__all__ = [
    "NEEDS", "averaged", "decode", "higher_is_better", "objective", "per_cell", "per_image", "predictor", "references",
    "suite", "worst",
]  # fmt: skip


def predictor(model: Model, asked: Asked) -> Predictor:
    """What answers records with labels."""
    return Predictor(model, asked, decode, averaged, scores)


def suite(corpus: Corpus) -> Suite:
    """The metrics of a corpus, with its classes."""
    return metrics.suite(corpus.classes)


def worst(corpus: Corpus) -> Worst:
    """The answers worth looking at."""
    return Worst(classes=corpus.classes)
