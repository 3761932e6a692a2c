"""Photos with what each says alone, their albums and their times, whatever the shards that they lie in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.reading import PREDICTED
from jobs.spec import JobFailed, SpecError, nearest
from vision.accumulator import Array
from vision.times import seconds


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos of several shards.

    Attributes:
        shards: (file, id and `answered`) of each.
        values: (N, D) of all that were answered, one shard behind the other: log-probabilities or embeddings.
        albums: of the same, what names the album of each; None for a photo in none.
        times: (N,) float64 seconds, nan where unknown.
    """

    shards: list[tuple[str, pa.Table]]
    values: Array
    albums: list[Any]
    times: Array

    @classmethod
    def of(cls, parts: Iterable[tuple[str, pa.Table, Array]], album: str, time: str, where: str) -> Photos:
        """Photos out of (file, records with `answered`, (M, D) of those that are answered).

        Args:
            album, time: columns of the records.
            where: what is read, for the error.

        Raises:
            SpecError: if a column is not there.
            JobFailed: if no photo is answered.
        """
        shards, values, told = [], [], []
        for file, table, numbers in parts:
            for field, name in (("album", album), ("time", time)):
                if name not in table.column_names:
                    known = [column for column in table.column_names if not column.startswith(PREDICTED)]
                    raise SpecError(f"{field}: no column {name!r}{nearest(name, known)}")
            shards.append((file, table.select(["id", "answered"])))
            told.append(table.filter(table["answered"]).select(list(dict.fromkeys((album, time)))))
            values.append(numbers)
        if not sum(map(len, values)):
            raise JobFailed(f"{where} has no photo with an answer")
        rows = pa.concat_tables(told)
        numbers = np.concatenate([one for one in values if len(one)])
        return cls(shards, numbers, rows[album].to_pylist(), seconds(rows[time]))

    def groups(self) -> list[Array]:
        """The rows of each album in the order of time, those without a time last; photos in no album are in none."""
        found: dict[Any, list[int]] = {}
        for row, album in enumerate(self.albums):
            if album is not None:
                found.setdefault(album, []).append(row)
        return [np.array(rows)[np.argsort(self.times[rows], kind="stable")] for rows in found.values()]

    def alone(self) -> list[Array]:
        """The row of each photo that is in no album, as an album of its own."""
        return [np.array([row]) for row, album in enumerate(self.albums) if album is None]
