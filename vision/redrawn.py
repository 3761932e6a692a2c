"""Two models compared by a metric that is no mean over images: a paired bootstrap that shards.

Each of the draws counts an image as often as a Poisson(1) number hashed from its id says, for both models alike, so
what the two have in common cancels as it does in a paired test. The state is counts by cell and draw, integers that
add up, and so the same to the last bit for any sharding: 200 draws take 1.6 kB a cell.

The draws give a standard error and a bias (a calibration error of few images is too high, a redrawn one twice); the
interval is a t interval with them. Percentiles of 200 draws could not tell one in a million; that errors this large
are as rare as a t distribution says is a claim, good for hundreds of images, not a proof.

Reference: Chamandy et al., "Estimating uncertainty for massive data streams", Google 2012.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from vision.accumulator import Array, Batch, Estimate, weights
from vision.contribution import PerCell
from vision.intervals import poisson_weights
from vision.tails import deviation_tail

DRAWS = 200
_UNIT = 2.0**24  # of sums by cell: 2**38 images of weight 1 fit
_ROWS = 4096  # expanded at once: 6.5 MB


def draws(ids: Array) -> Array:
    """(N, DRAWS + 1) uint8: how often each image counts, as it is and in each draw."""
    drawn = np.ones((len(ids), DRAWS + 1), np.uint8)
    for start in range(0, len(ids), _ROWS):
        drawn[start : start + _ROWS, 1:] = poisson_weights(ids[start : start + _ROWS], DRAWS)
    return drawn


def _empty() -> Array:
    return np.empty((0, DRAWS + 1), np.int64)


@dataclass(frozen=True, eq=False)
class CellDraws:
    """Counts and sums (C, DRAWS + 1) int64 of each cell (C,) in every draw; sums in units of 2**-24."""

    cells: Array = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Array = field(default_factory=_empty)
    sums: Array = field(default_factory=_empty)

    @classmethod
    def of(cls, cells: Array, amounts: Array, drawn: Array, counts: Array) -> CellDraws:
        """Of images with `cells` (N,), `amounts` (N,) in -1..1, `drawn` (N, DRAWS + 1) and `counts` (N,)."""
        state = cls()
        for start in range(0, len(cells), _ROWS):
            rows = slice(start, start + _ROWS)
            weight = drawn[rows].astype(np.int64) * counts[rows, None]
            fixed = np.rint(amounts[rows] * _UNIT).astype(np.int64)
            state = state.merge(cls(*_by_cell(cells[rows], weight, weight * fixed[:, None])))
        return state

    def merge(self, other: CellDraws) -> CellDraws:
        if not len(other.cells) or not len(self.cells):
            return self if len(self.cells) else other
        parts = (np.concatenate(pair) for pair in zip(self._parts(), other._parts(), strict=True))
        return CellDraws(*_by_cell(*parts))

    def _parts(self) -> tuple[Array, Array, Array]:
        return self.cells, self.counts, self.sums

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CellDraws) and all(map(np.array_equal, self._parts(), other._parts()))

    __hash__ = None  # type: ignore[assignment]


def _by_cell(cells: Array, counts: Array, sums: Array) -> tuple[Array, Array, Array]:
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    return cells[starts], np.add.reduceat(counts[order], starts, axis=0), np.add.reduceat(sums[order], starts, axis=0)


class _Spread(NamedTuple):
    """A number, how far noise pushes it, and its standard error."""

    value: float
    bias: float
    error: float

    @classmethod
    def of(cls, values: Array) -> _Spread:
        if len(values) == 0:
            return cls(math.nan, math.nan, math.nan)
        return cls(float(values[0]), float(values[1:].mean() - values[0]), float(values[1:].std(ddof=1)))

    def estimate(self, n: int, scale: float, confidence: float) -> Estimate:
        from scipy.special import stdtrit

        centre = self.value - self.bias / scale
        half = float(stdtrit(DRAWS - 1, 0.5 + confidence / 2)) * self.error / math.sqrt(scale)
        return Estimate(self.value, min(self.value, centre - half), max(self.value, centre + half), n)


@dataclass(frozen=True)
class PairedRedrawn:
    """A metric of two models on the same images, with all draws of both."""

    kind: PerCell
    baseline: CellDraws = field(default_factory=CellDraws)
    candidate: CellDraws = field(default_factory=CellDraws)

    def update(self, batch: Batch) -> Self:
        """With `baseline_cell`, `candidate_cell` (N,), the same with `_amount`, and `draws` (N, DRAWS + 1)."""
        counts, drawn = weights(batch), batch["draws"]
        ours, theirs = (
            CellDraws.of(batch[f"{which}_cell"], batch[f"{which}_amount"], drawn, counts)
            for which in ("baseline", "candidate")
        )
        return replace(self, baseline=self.baseline.merge(ours), candidate=self.candidate.merge(theirs))

    def merge(self, other: Self) -> Self:
        ours, theirs = self.baseline.merge(other.baseline), self.candidate.merge(other.candidate)
        return replace(self, baseline=ours, candidate=theirs)

    @property
    def n(self) -> int:
        return int(self.baseline.counts[:, 0].sum())

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]:
        names = ("baseline", "candidate", "difference")
        return {
            name: spread.estimate(self.n, 1.0, confidence) for name, spread in zip(names, self._spreads, strict=True)
        }

    def difference(self, scale: float = 1.0, confidence: float = 0.95) -> Estimate:
        return self._spreads[2].estimate(self.n, scale, confidence)

    def tail(self, at: float, *, below: bool, scale: float = 1.0) -> float:
        value, bias, error = self._spreads[2]
        return deviation_tail(value - bias / scale - at, error / math.sqrt(scale), below=below, freedom=DRAWS - 1)

    @cached_property
    def _spreads(self) -> tuple[_Spread, _Spread, _Spread]:
        ours, theirs = self._values(self.baseline), self._values(self.candidate)
        return _Spread.of(ours), _Spread.of(theirs), _Spread.of(theirs - ours)

    def _values(self, state: CellDraws) -> Array:
        if not len(state.cells):
            return np.empty(0)
        return self.kind.metric(state.cells, state.counts.T, state.sums.T / _UNIT)
