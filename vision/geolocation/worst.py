"""The photos that were placed farthest from where they were taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from vision.accumulator import Batch
from vision.geolocation.answers import NEEDS, errors_km
from vision.geolocation.distance import Distance
from vision.notable import Notable


@dataclass(frozen=True)
class Farthest(Notable):
    """The `keep` photos with the largest distances; one that was not placed has none."""

    distance: Distance = field(default_factory=Distance)

    def update(self, batch: Batch) -> Self:
        km = errors_km(batch, self.distance)
        return self._with(-km, km > 0, batch["id"], lambda row: _caption(batch, row, float(km[row])))


def _caption(batch: Batch, row: int, km: float) -> str:
    latitude, longitude, said_latitude, said_longitude = (float(batch[name][row]) for name in NEEDS)
    place = f"{latitude:.4f}, {longitude:.4f}"
    return f"taken at {place}, placed at {said_latitude:.4f}, {said_longitude:.4f}: {km:,.0f} km off"
