"""What makes rows of two splits relatives: an equal value, places near each other, or moments of one author.

Rows of equal value are counted by `vision.leakage`, those near each other by `vision.vicinity`. A photographer's
pictures of one evening are one event; those of two years hardly: so an equal value may be asked to be near in time too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from jobs.tables import degrees
from vision.accumulator import Array
from vision.fairness.coding import coded
from vision.grouping import MISSING
from vision.leakage import digests
from vision.sphere import EARTH_KM, faults, unit_vectors
from vision.times import seconds
from vision.vicinity import STEP, near_places, near_times

HOUR_S = 3600
_POINT_KM = 0.001
"""Photos this near count as taken together, however small the distance that is asked for."""


@dataclass(frozen=True)
class Same:
    """An equal value of a column."""

    column: str

    @property
    def name(self) -> str:
        return self.column

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    def lacks(self, whose: str) -> str:
        """What rows do not say of which nothing is known; `whose` is its or their."""
        return f"{whose} {self.column}"

    def said(self, other: str) -> str:
        """What rows do that leak."""
        return f"share their {self.column} with rows of {other}"

    @property
    def things(self) -> str:
        """What is counted besides rows."""
        return f"values of {self.column}"


@dataclass(frozen=True)
class Nearby:
    """Places within `km` of each other; those of one cube with edges of `km` leak together."""

    km: float
    latitude: str = "latitude"
    longitude: str = "longitude"

    name: ClassVar[str] = "place"
    things: ClassVar[str] = "places"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.latitude, self.longitude

    def lacks(self, whose: str) -> str:
        return f"{whose} place"

    def said(self, other: str) -> str:
        return f"were taken within {self.km:g} km of rows of {other}"

    def spots(self, table: pa.Table) -> tuple[Array, Array]:
        """(N, 2) int64 steps of latitude and longitude, and which rows have a position that can be.

        Raises:
            SpecError: if a column holds no numbers.
        """
        found = np.stack([degrees(table, name) for name in self.columns], axis=1)
        known = faults(*found.T) == 0
        spots = np.zeros(found.shape, np.int64)
        spots[known] = np.rint(found[known] / STEP)
        return spots, known

    def near(self, references: Array, asked: Array) -> Array:
        return near_places(references * STEP, asked * STEP, self.km)

    def together(self, spots: Array) -> Array:
        cubes = np.floor(unit_vectors(*(spots * STEP).T) * (EARTH_KM / max(self.km, _POINT_KM)))
        return cubes.astype(np.int64)


@dataclass(frozen=True)
class Soon:
    """An equal value of a column, within `hours` of each other; all rows of a value leak together."""

    column: str
    hours: float
    time: str = "time"

    @property
    def name(self) -> str:
        return f"{self.column}_{self.hours:g}h"

    @property
    def columns(self) -> tuple[str, ...]:
        return self.column, self.time

    def lacks(self, whose: str) -> str:
        return f"{whose} {self.column} or {whose} {self.time}"

    @property
    def things(self) -> str:
        return f"moments of a {self.column}"

    def said(self, other: str) -> str:
        return f"share their {self.column} with rows of {other} taken within {self.hours:g} hours of them"

    def spots(self, table: pa.Table) -> tuple[Array, Array]:
        """(N, 2) int64 digest of the value and seconds, and which rows have both."""
        codes, levels = coded(table[self.column])
        when = seconds(table[self.time])
        known = np.isfinite(when) & np.array([level != MISSING for level in levels], bool)[codes]
        return np.stack([digests(levels)[codes], np.where(known, when, 0).astype(np.int64)], axis=1), known

    def near(self, references: Array, asked: Array) -> Array:
        return near_times(references, asked, self.hours * HOUR_S)

    def together(self, spots: Array) -> Array:
        who: Array = spots[:, 0]
        return who


Vicinity = Nearby | Soon
Relation = Same | Vicinity
