"""What no answer within a partition's cells can pass: every photo put where its own cell's photos are on average.

Of GeoEstimation's 3,298 coarse cells the ceiling on Im2GPS3k is 20.0, 63.4, 92.4, 99.6 and 100 % within 1, 25, 200, 750
and 2,500 km: a net that misses a street may have had no chance. A photo in no cell is a miss, as it is for a net.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from vision import sphere
from vision.accumulator import Array, Batch, Estimate, Suite, weights
from vision.geolocation import s2
from vision.geolocation.answers import positions
from vision.geolocation.cells import locate
from vision.geolocation.metrics import placing
from vision.geolocation.s2_geometry import centre_degrees
from vision.geolocation.stored import Cells

At = Literal["mean", "centre"]


@dataclass(frozen=True)
class Ceiling:
    """The metrics of an oracle that always names the right cell.

    Attributes:
        name: of the partition, by which its table is called.
        at: where in a cell a photo is put: the mean of the cell's photos, or the middle of the cell (PlaNet).
    """

    cells: Cells
    name: str = "cells"
    at: At = "mean"
    state: Suite = field(default_factory=lambda: Suite(placing()))

    def update(self, batch: Batch) -> Self:
        truth = positions(batch, "")
        known = np.isfinite(truth).all(axis=1)
        latitude, longitude = truth[known].T
        rows = locate(self.cells.ids, s2.ids(np.ascontiguousarray(latitude), np.ascontiguousarray(longitude)))
        said = np.where(rows[:, None] < 0, np.nan, self._places[rows]) if len(self.cells) else truth[known] * np.nan
        placed = {
            "latitude": latitude, "longitude": longitude,
            "predicted_latitude": said[:, 0], "predicted_longitude": said[:, 1], "count": weights(batch)[known],
        }  # fmt: skip
        return replace(self, state=self.state.update(placed))

    def merge(self, other: Self) -> Self:
        return replace(self, state=self.state.merge(other.state))

    def compute(self) -> dict[str, Estimate]:
        """Nothing: these are not the metrics of what is scored; see `estimates`."""
        return {}

    def estimates(self) -> dict[str, Estimate]:
        """The ceiling of each metric; `answered` is the share of photos that lie in a cell at all."""
        return self.state.compute()

    def tables(self) -> dict[str, pa.Table]:
        """`ceiling_<name>`: a row for each metric."""
        rows = [{"metric": metric, **estimate._asdict()} for metric, estimate in self.estimates().items()]
        fields = [pa.field(name, pa.float64()) for name in ("value", "low", "high")]
        schema = pa.schema([pa.field("metric", pa.string()), *fields, pa.field("n", pa.int64())])
        return {f"ceiling_{self.name}": pa.Table.from_pylist(rows, schema)}

    @cached_property
    def _places(self) -> Array:
        """(M, 2) degrees."""
        found = sphere.positions(self.cells.means) if self.at == "mean" else centre_degrees(self.cells.ids)
        return np.stack(found, axis=1)
