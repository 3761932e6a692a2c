"""What one image contributes to a metric: a value to its mean, or its place in the counts that determine it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vision.accumulator import Array, Batch


@dataclass(frozen=True)
class PerImage:
    """How to read a metric off single images, so that two models can be compared on the same ones.

    Attributes:
        value: a batch to (N,) floats, nan where an image does not count.
        needs: the columns that `value` reads.
        rate: whether the values are 0 and 1.
    """

    value: Callable[[Batch], Array]
    needs: tuple[str, ...]
    rate: bool


@dataclass(frozen=True)
class PerCell:
    """A metric that is no mean over images, but is known once images are counted by cell: macro recall, calibration.

    Attributes:
        cell: a batch to (N,) int64 cells, -1 where an image does not count.
        amount: a batch to (N,) floats in -1..1 that are summed by cell, or None where counts are enough.
        metric: cells (C,), counts (B, C) int64 and sums (B, C) float64 to the metric (B,), a draw a row.
        needs: the columns that the two read.
    """

    cell: Callable[[Batch], Array]
    amount: Callable[[Batch], Array] | None
    metric: Callable[[Array, Array, Array], Array]
    needs: tuple[str, ...]
