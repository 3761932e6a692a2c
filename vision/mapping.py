"""Maps of many pictures as one: the mean of each place over a corpus, with its interval, exact for any sharding.

Where pictures are framed alike (faces, photos of one device, a planted cue) the mean shows what a net looks at; where
they are not, it shows whether it looks at the middle or at the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from vision.accumulator import Batch, Estimate, plotted
from vision.intervals import rate
from vision.moments import Moments

MOST = 30_000.0
"""Nats past which a drop counts as so much: e**-30000 is no probability any more, and sums stay exact."""


@dataclass(frozen=True)
class MeanMap:
    """Moments of each place of a map, of the largest drop of each picture, and how many pictures have a map.

    A batch holds `predicted_map` (N, P) with nan where there is none, or an array of None where none has one.
    """

    places: tuple[Moments, ...] = ()
    largest: Moments = field(default_factory=Moments)
    seen: int = 0

    def update(self, batch: Batch) -> Self:
        maps = batch["predicted_map"]
        known = maps[np.isfinite(maps).all(axis=1)] if maps.ndim == 2 and maps.shape[1] else np.empty((0, 0))
        if not len(known):
            return replace(self, seen=self.seen + len(maps))
        drops = np.clip(known.astype(np.float64), -MOST, MOST)
        one = np.ones(len(drops), np.int64)
        added = type(self)(
            tuple(Moments().add(column, one) for column in drops.T), Moments().add(drops.max(axis=1), one), len(maps)
        )
        return self.merge(added)

    def merge(self, other: Self) -> Self:
        """The sum.

        Raises:
            ValueError: if maps have different numbers of places.
        """
        if self.places and other.places and len(self.places) != len(other.places):
            raise ValueError(f"maps of {len(self.places)} and of {len(other.places)} places have no mean")
        both = zip(self.places, other.places, strict=True) if self.places and other.places else ()
        places = tuple(a.merge(b) for a, b in both) or self.places or other.places
        return type(self)(places, self.largest.merge(other.largest), self.seen + other.seen)

    def compute(self) -> dict[str, Estimate]:
        """`largest_drop` in nats, mean over pictures, and `mapped`, the share of pictures that have a map."""
        return {"largest_drop": self.largest.estimate(), "mapped": rate(self.largest.n, self.seen)}

    def table(self, tops: Sequence[int], lefts: Sequence[int], square: int) -> pa.Table:
        """A row for each place, in the order of the map: where it is, and the mean drop with its limits."""
        means = [one.estimate() for one in self.places]
        return grid([one.value for one in means], tops, lefts, square, means)


def grid(
    drops: Sequence[float], tops: Sequence[int], lefts: Sequence[int], square: int,
    estimates: Sequence[Estimate] | None = None, of: str | None = None,
) -> pa.Table:  # fmt: skip
    """A map as a table that a page draws: `top`, `left`, `drop` and, where there are several pictures, its limits.

    Args:
        of: the id of the only picture, where it is one.
    """
    columns = {
        "top": np.repeat(np.asarray(tops, np.int64), len(lefts)),
        "left": np.tile(np.asarray(lefts, np.int64), len(tops)),
        "drop": np.asarray(drops, np.float64),
    }  # fmt: skip
    if estimates is not None:
        columns |= {"low": np.array([one.low for one in estimates]), "high": np.array([one.high for one in estimates])}
        columns |= {"n": np.array([one.n for one in estimates], np.int64)}
    return plotted(pa.table(columns), kind="heat", square=square, **({} if of is None else {"of": of}))


@dataclass(frozen=True)
class Telling:
    """The pictures in which one place matters most, with their maps: (minus the largest drop, id, map) of each."""

    keep: int = 12
    rows: tuple[tuple[float, str, tuple[float, ...]], ...] = ()

    def update(self, batch: Batch) -> Self:
        maps = batch["predicted_map"]
        if maps.ndim != 2 or not maps.shape[1]:
            return self
        known = np.flatnonzero(np.isfinite(maps).all(axis=1))
        most = maps[known].max(axis=1)
        # By id where drops are the same, so that the order of batches does not matter.
        order = sorted(range(len(known)), key=lambda n: (-most[n], str(batch["id"][known[n]])))[: self.keep]
        return self._kept(
            tuple((-float(most[n]), str(batch["id"][known[n]]), tuple(maps[known[n]].tolist())) for n in order)
        )

    def merge(self, other: Self) -> Self:
        return self._kept(other.rows)

    def compute(self) -> dict[str, Estimate]:
        return {}

    def _kept(self, more: tuple[tuple[float, str, tuple[float, ...]], ...]) -> Self:
        return replace(self, rows=tuple(sorted((*self.rows, *more))[: self.keep]))
