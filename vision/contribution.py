"""What one image contributes to a metric that is a mean over images."""

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
