"""How many examples does it take? Few-shot curves: a probe on k examples a class, again and again over draws.

Who is drawn is decided by a hash of (seed, draw, id): the same in any order and sharding, smaller draws lie within
larger ones, and examples added later displace few. The curve keeps right answers by (k, draw), which add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Self

import numpy as np
import pyarrow as pa

from vision.accumulator import Array, Estimate, plotted
from vision.moments import Moments


def check_enough(labels: Array, shots: Sequence[int], classes: Sequence[str] | None = None) -> None:
    """Refuse to draw more of a class than there is.

    Raises:
        ValueError: naming the smallest class.
    """
    present, counts = np.unique(labels, return_counts=True)
    least = int(counts.argmin())
    if max(shots) > counts[least]:
        name = classes[present[least]] if classes else present[least]
        raise ValueError(f"class {name} has {counts[least]} labelled examples, fewer than {max(shots)}")


def ranks(ids: Sequence[str], labels: Array, seed: int, draw: int) -> Array:
    """(N,) int64: the place of each example in the draw's order of its class, from 0; k shots are those below k."""
    start = blake2b(f"{seed}:{draw}:".encode(), digest_size=8)

    def key(text: str) -> int:
        digest = start.copy()
        digest.update(text.encode())
        return int.from_bytes(digest.digest(), "big")

    order = np.lexsort((np.array([key(text) for text in ids], np.uint64), labels))
    first = np.searchsorted(labels[order], labels[order])  # where each one's class begins
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - first
    return places


@dataclass(frozen=True)
class ShotCurve:
    """Share of right answers (top-1) against the number of examples a class.

    The interval is the t interval of the mean over draws. It covers which examples happened to be drawn from this
    pool; it does not cover which images happened to be tested.

    Attributes:
        shots: examples a class.
        hits: right answers for each of `shots`, for each draw.
        tested: images that each probe answered.
    """

    shots: tuple[int, ...]
    hits: tuple[tuple[int, ...], ...]
    tested: int = 0

    @classmethod
    def zero(cls, shots: Sequence[int], draws: int) -> Self:
        return cls(tuple(shots), ((0,) * draws,) * len(shots))

    def add(self, right: Array, tested: int) -> Self:
        """With `right` (shots, draws) of `tested` answers."""
        hits = (np.array(self.hits, np.int64) + right).tolist()
        return replace(self, hits=tuple(map(tuple, hits)), tested=self.tested + tested)

    def merge(self, other: Self) -> Self:
        return self.add(np.array(other.hits, np.int64), other.tested)

    def compute(self) -> dict[str, Estimate]:
        """`top1.shots_5` and so on; n is the number of draws."""
        return {f"top1.shots_{k}": self._mean(hits) for k, hits in zip(self.shots, self.hits, strict=True)}

    def tables(self) -> dict[str, pa.Table]:
        """`few_shot`: a row for each number of shots, with the worst and the best draw."""
        if not self.shots:
            return {}
        means = [self._mean(hits) for hits in self.hits]
        table = pa.table({
            "shots": pa.array(self.shots, pa.int64()),
            "top1": [mean.value for mean in means],
            "low": [mean.low for mean in means],
            "high": [mean.high for mean in means],
            "worst_draw": [min(hits) / self.tested if self.tested else np.nan for hits in self.hits],
            "best_draw": [max(hits) / self.tested if self.tested else np.nan for hits in self.hits],
            "draws": pa.array([mean.n for mean in means], pa.int64()),
            "tested": pa.array([self.tested] * len(means), pa.int64()),
        })  # fmt: skip
        return {"few_shot": plotted(table, kind="curve", x="shots", y="top1", low="low", high="high")}

    def _mean(self, hits: Sequence[int]) -> Estimate:
        if not self.tested:
            return Estimate(np.nan, np.nan, np.nan, 0)
        shares = np.array(hits, np.float64) / self.tested
        return Moments().add(shares, np.ones(len(hits), np.int64)).estimate(lowest=0.0, highest=1.0)
