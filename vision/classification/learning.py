"""What a classifier learns from: labels, cross entropy, and the share of right answers while it learns.

This is what training asks of a room: which columns are the truth, what an output costs, and how an output is read as
an answer, so that the validation split is scored by the same states as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.auxiliary import check_width, heads
from vision.classification.labels import decode
from vision.corpus import Corpus
from vision.model import Model

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Objective:
    """Cross entropy with one label for each image.

    Attributes:
        classes: how many there are.
        names: theirs, for complaints.
        smoothing: share of the target that is spread over all classes. Reference: Szegedy et al., "Rethinking the
            Inception architecture", CVPR 2016.
    """

    classes: int
    names: tuple[str, ...]
    smoothing: float = 0.0

    measured = ("top1",)
    """What `loss` counts beside the loss: right answers."""

    decoding: ClassVar[Mapping[str, Any]] = {}
    """Labels are read without anything else."""

    @property
    def outputs(self) -> int:
        return self.classes

    def answers_as(self, model: Model) -> bool:
        """Whether a model's outputs are these classes already."""
        return model.classes == self.names

    def targets(self, rows: pa.Table) -> Array:
        """(N,) int64 labels, -1 where there are none: such rows teach nothing.

        Raises:
            ValueError: if a label is no class.
        """
        labels = np.asarray(rows["label"].fill_null(-1).to_numpy(), np.int64)
        if len(labels) and int(labels.max()) >= self.classes:
            raise ValueError(f"label {int(labels.max())} is not one of the {self.classes} classes")
        return labels

    def census(self, targets: Array) -> Array:
        """(classes + 1,) int64: the rows of each class, and those without a label. Adds up over parts of a corpus."""
        return np.bincount(np.where(targets < 0, self.classes, targets), minlength=self.classes + 1)

    def check(self, census: Array) -> None:
        """Refuse to learn classes that no record shows.

        Raises:
            ValueError: naming them.
        """
        empty = [self.names[label] for label in np.flatnonzero(census[: self.classes] == 0)]
        if empty:
            more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
            raise ValueError(f"{', '.join(empty[:3])}{more}: no record of this class to learn from")

    def check_outputs(self, outputs: Any) -> None:
        """Refuse a net that answers with another number of classes.

        Raises:
            ValueError: if its outputs for some pictures are not (B, classes).
        """
        check_width(outputs, self.classes, f"the corpus has {self.classes} classes")

    def loss(self, outputs: Any, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What a micro-batch costs.

        Args:
            outputs: (B, K) logits, or a tuple of them: the last layer's, then those of auxiliary heads.
            targets: (B,) int64, -1 for rows that do not count.

        Returns:
            The sum over rows of the cross entropy, in nats, and (1,) how many answers are right.
        """
        from torch.nn import functional

        found = heads(outputs)
        costs = [
            weight
            * functional.cross_entropy(
                head.float(), targets, ignore_index=-1, reduction="sum", label_smoothing=self.smoothing
            )
            for weight, head in found
        ]
        right = (found[0][1].detach().argmax(dim=1) == targets).sum()
        total: torch.Tensor = sum(costs[1:], costs[0])
        return total, right.float().view(1)

    def answers(self, outputs: Any, targets: Array) -> dict[str, pa.Array]:
        """The answer columns of a net in evaluation mode, as `predict` gives them."""
        return decode(outputs.float().cpu().numpy(), targets)

    def truths(self, targets: Array) -> dict[str, pa.Array]:
        """The question's columns that the answers are scored against."""
        return {"label": pa.array(targets)}


def objective(corpus: Corpus, smoothing: float = 0.0) -> Objective:
    """What is learned from a corpus.

    Raises:
        ValueError: if it has no labels or no classes.
    """
    if "label" not in corpus.columns or not corpus.classes:
        raise ValueError(f"{corpus.name} has no labels with classes to learn from")
    return Objective(len(corpus.classes), tuple(corpus.classes), smoothing)
