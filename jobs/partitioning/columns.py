"""Positions out of tables: which columns they are in, as numbers, with what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from jobs.spec import SpecError, nearest
from jobs.tables import counts, roles
from vision.accumulator import Array, Counts
from vision.geolocation import s2
from vision.sphere import faults


@dataclass(frozen=True)
class Columns:
    """Names of columns by role."""

    latitude: str = "latitude"
    longitude: str = "longitude"
    count: str | None = None
    id: str | None = None

    @classmethod
    def parse(cls, pairs: Sequence[str]) -> Self:
        """Columns from `role=name`."""
        return cls(**roles(pairs, tuple(cls.__dataclass_fields__)))

    @property
    def needed(self) -> list[str]:
        named = (self.latitude, self.longitude, self.count)
        return list(dict.fromkeys(name for name in named if name))

    def check(self, known: Sequence[str], what: str) -> None:
        """Refuse a table that lacks one.

        Raises:
            SpecError: naming it, what the table is, and the nearest name.
        """
        for name in [*self.needed, *([self.id] if self.id else [])]:
            if name not in known:
                role = next(role for role, value in vars(self).items() if value == name)
                hint = nearest(name, list(known)) or f" (columns: {', '.join(known)})"
                raise SpecError(f"columns: {what} has no column {name!r} for {role}{hint}")


def ids_of(table: pa.Table, columns: Columns) -> tuple[Array, Array, Counts]:
    """The leaf cells of a table's rows.

    Returns:
        (N,) uint64 ids of good positions; (N,) int64 photos that each stands for; rejected photos by reason, keyed by
        place in `vision.sphere.FAULTS`.

    Raises:
        SpecError: if a column does not hold numbers.
    """
    latitude, longitude = (_numbers(table[name], name) for name in (columns.latitude, columns.longitude))
    missing = _null(table[columns.latitude]) | _null(table[columns.longitude])
    reason = faults(latitude, longitude, missing)
    count = np.ones(len(table), np.int64) if columns.count is None else counts(table, columns.count, "photos")
    good = reason == 0
    if good.all():
        return s2.ids(latitude, longitude), count, Counts()
    rejected = Counts.of(reason[~good].astype(np.int64), count[~good])
    return s2.ids(latitude[good], longitude[good]), count[good], rejected


def _numbers(column: pa.ChunkedArray, name: str) -> Array:
    """(N,) float64, nan where there is nothing."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise SpecError(f"columns: {name} holds {kind} and not numbers of degrees")
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def _null(column: pa.ChunkedArray) -> Array:
    return np.asarray(column.is_null().to_numpy(), bool)
