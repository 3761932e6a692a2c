"""The answers worth looking at: few, kept by how bad they are, whatever bad means in a room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vision.accumulator import Array, Estimate


@dataclass(frozen=True)
class Notable:
    """The `keep` rows with the lowest goodness (ties by id): (goodness, id, caption)."""

    keep: int = 12
    rows: tuple[tuple[float, str, str], ...] = ()

    def merge(self, other: Self) -> Self:
        return self._kept(other.rows)

    def compute(self) -> dict[str, Estimate]:
        return {}

    def notable(self) -> tuple[tuple[str, str], ...]:
        """(id, caption), the worst first."""
        return tuple((id_, caption) for _, id_, caption in self.rows)

    def _with(self, goodness: Array, wrong: Array, ids: Array, caption: Callable[[int], str]) -> Self:
        """With the rows that are `wrong` (N,) bool, by their finite `goodness` (N,); only those kept are captioned."""
        rows = np.flatnonzero(wrong & np.isfinite(goodness))
        # The threshold is inclusive, so that ties are settled by id and not by the order of batches.
        edge = np.partition(goodness[rows], self.keep - 1)[self.keep - 1] if len(rows) > self.keep else np.inf
        low = [int(row) for row in rows if goodness[row] <= edge]
        return self._kept(tuple((float(goodness[row]), str(ids[row]), caption(row)) for row in low))

    def _kept(self, more: tuple[tuple[float, str, str], ...]) -> Self:
        return replace(self, rows=tuple(sorted((*self.rows, *more))[: self.keep]))
