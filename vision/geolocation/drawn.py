"""What is drawn of placed photos: cells by how well their photos were placed, and lines from truth to answer.

Both are states that add up as metrics do, and what comes out are tables whose schema says that they are maps
(`mapped`); a report page draws them, and `vision.geolocation.geojson` writes them for a map program.

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016, figures 2 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pyarrow as pa

from vision import draws
from vision.accumulator import Array, Batch, Counts, Estimate, plotted, weights
from vision.geolocation import s2
from vision.geolocation.answers import NEEDS, errors_km, positions
from vision.geolocation.cells import locate
from vision.geolocation.distance import Distance
from vision.geolocation.globe import Globe
from vision.geolocation.stored import Cells
from vision.intervals import wilson

WITHIN_KM = 750.0
"""The distance that cells are coloured by: a country."""

LINES = 300
"""Photos whose lines are drawn; more would cover the map."""

SHOWN = 0.999
"""The probability that the drawn cells of a photo's map have together; the rest is too pale to be seen."""

Marks = Mapping[str, tuple[float, float]]
"""Places on a map, latitude and longitude in degrees, by what they are called."""


def mapped(table: pa.Table, shape: str, note: str, **how: object) -> pa.Table:
    """A table as a map: see `vision.accumulator.plotted`.

    Args:
        shape: `cells`, with a column `token`, or `lines`, with the columns of `NEEDS`.
        note: what the colours mean, for the caption.
        how: of cells `part`, the column that colours them; `whole`, the column of which it is a share, if any;
            `logarithmic`, whether steps of colour are ratios; `marks`, places to be marked.
    """
    return plotted(table, kind="map", shape=shape, note=note, **how)


def counted(cells: Cells) -> pa.Table:
    """The cells of a partition, to be coloured by their counts."""
    table = cells.table().select(["token", "level", "count"])
    return mapped(table, "cells", "Photos in each cell.", part="count", logarithmic=True)


def probable(globe: Globe, logs: Array, marks: Marks, of: str = "") -> pa.Table:
    """Where one photo may have been taken: its best cells, as many as have `SHOWN` of the probability together.

    Args:
        logs: (F,) log-probabilities of the finest cells.
        of: the photo's id.
    """
    order = np.argsort(-logs, kind="stable")
    shares = np.exp(logs[order])
    kept = order[: int(np.searchsorted(np.cumsum(shares), SHOWN)) + 1]
    table = pa.table({
        "token": pa.array(globe.tokens[kept].tolist(), pa.string()), "probability": np.exp(logs[kept]),
        "latitude": globe.positions[kept, 0], "longitude": globe.positions[kept, 1],
    })  # fmt: skip
    note = f"Probability of each cell; those shown have {SHOWN:.1%} together."
    return mapped(table, "cells", note, part="probability", logarithmic=True, marks=dict(marks), of=of)


@dataclass(frozen=True, eq=False)
class CellAccuracy:
    """Of each cell how many photos were taken in it, and how many of those were placed within `km`.

    Attributes:
        name: of the partition, by which its table is called.
        seen, near: photos by the row of their cell.
    """

    cells: Cells
    name: str = "cells"
    km: float = WITHIN_KM
    distance: Distance = field(default_factory=Distance)
    seen: Counts = field(default_factory=Counts)
    near: Counts = field(default_factory=Counts)

    def update(self, batch: Batch) -> Self:
        off, truth = errors_km(batch, self.distance), positions(batch, "")
        known = ~np.isnan(off)
        latitude, longitude = (np.ascontiguousarray(axis) for axis in truth[known].T)
        rows, counts = locate(self.cells.ids, s2.ids(latitude, longitude)), weights(batch)[known]
        inside, near = rows >= 0, (rows >= 0) & (off[known] <= self.km)
        return self._with(Counts.of(rows[inside], counts[inside]), Counts.of(rows[near], counts[near]))

    def merge(self, other: Self) -> Self:
        return self._with(other.seen, other.near)

    def _with(self, seen: Counts, near: Counts) -> Self:
        return replace(self, seen=self.seen.merge(seen), near=self.near.merge(near))

    def compute(self) -> dict[str, Estimate]:
        return {}

    def tables(self) -> dict[str, pa.Table]:
        """`map_<name>`: a row for each cell with a photo."""
        if not len(self.seen.keys):
            return {}
        near = dict(zip(self.near.keys.tolist(), self.near.counts.tolist(), strict=True))
        hits = [near.get(row, 0) for row in self.seen.keys.tolist()]
        limits = [wilson(hit, n) for hit, n in zip(hits, self.seen.counts.tolist(), strict=True)]
        table = pa.table({
            "token": pa.array(s2.tokens(self.cells.ids[self.seen.keys]).tolist(), pa.string()),
            "photos": self.seen.counts, "placed": np.array(hits, np.int64),
            "low": np.array([low for low, _ in limits]), "high": np.array([high for _, high in limits]),
        })  # fmt: skip
        note = f"Share of the photos taken in each cell that were placed within {self.km:g} km."
        return {f"map_{self.name}": mapped(table, "cells", note, part="placed", whole="photos")}


@dataclass(frozen=True)
class Lines:
    """Photos with where they were taken and where they were placed: `keep` of them, drawn by hash of id.

    Attributes:
        rows: (key, id, the four columns of `NEEDS`, kilometres), ascending.
    """

    keep: int = LINES
    distance: Distance = field(default_factory=Distance)
    rows: tuple[tuple[int, str, float, float, float, float, float], ...] = ()

    def update(self, batch: Batch) -> Self:
        off = errors_km(batch, self.distance)
        rows = np.flatnonzero(np.isfinite(off))
        keys = draws.keys_of([str(batch["id"][row]) for row in rows])
        low = np.argsort(keys, kind="stable")[: self.keep]
        places = [np.asarray(batch[name], np.float64)[rows[low]].tolist() for name in NEEDS]
        ids = [str(batch["id"][row]) for row in rows[low]]
        found = zip(keys[low].tolist(), ids, *places, off[rows[low]].tolist(), strict=True)
        return self._kept(tuple(found))

    def merge(self, other: Self) -> Self:
        return self._kept(other.rows)

    def _kept(self, more: tuple[tuple[int, str, float, float, float, float, float], ...]) -> Self:
        return replace(self, rows=tuple(sorted((*self.rows, *more))[: self.keep]))

    def compute(self) -> dict[str, Estimate]:
        return {}

    def tables(self) -> dict[str, pa.Table]:
        """`map_lines`: a row a photo."""
        if not self.rows:
            return {}
        _, ids, *places, km = zip(*self.rows, strict=True)
        columns = {name: np.array(values, np.float64) for name, values in zip(NEEDS, places, strict=True)}
        table = pa.table({"id": pa.array(ids, pa.string()), **columns, "km": np.array(km, np.float64)})
        note = f"From where a photo was taken (dot) to where it was placed (ring); blue: within {WITHIN_KM:g} km."
        return {"map_lines": mapped(table, "lines", note, near_km=WITHIN_KM)}
