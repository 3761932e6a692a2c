"""A partition as a table: what one Parquet file of cells holds, whoever made them.

One row a cell, in the order of ids:

- `id` uint64 and `token`, the same as text: a number that a spreadsheet cannot damage, and a name for people;
- `label` int32, the class that a net learns: the row, or what a published table calls it;
- `level` and `count`;
- `latitude`, `longitude` of the centre, and `mean_latitude`, `mean_longitude` of its photos, degrees;
- `mean_x`, `mean_y`, `mean_z`, the mean of the photos' unit vectors, shorter than 1 the wider they lie.

What it was made of stands as JSON under `safelight` in the schema's metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.cells import check_disjoint, locate
from vision.geolocation.s2_geometry import centre_degrees
from vision.sphere import positions

FORMAT = 1
_KEY = b"safelight"
_AXES = ("mean_x", "mean_y", "mean_z")
_NEEDED = ("id", "label", "count", *_AXES)


@dataclass(frozen=True, eq=False)
class Cells:
    """A partition with what is known of its cells.

    Attributes:
        ids: (M,) uint64, disjoint and ascending.
        counts: (M,) int64 photos.
        means: (M, 3) float64 mean vectors of the photos.
        labels: (M,) int32 classes; the rows unless given.
        about: parameters, the corpus and its digest: plain values.
    """

    ids: Array
    counts: Array
    means: Array
    labels: Array | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def locate(self, ids: Array) -> Array:
        """(N,) int64 classes of photos, by their leaf ids (N,) uint64; -1 in no cell."""
        rows = locate(self.ids, ids)
        return rows if self.labels is None else np.where(rows < 0, -1, self.labels.astype(np.int64)[rows])

    def table(self) -> pa.Table:
        """As the Parquet file has it."""
        latitude, longitude = centre_degrees(self.ids)
        mean_latitude, mean_longitude = positions(self.means)
        labels = np.arange(len(self), dtype=np.int32) if self.labels is None else self.labels.astype(np.int32)
        columns = {
            "id": pa.array(self.ids, pa.uint64()),
            "token": pa.array(s2.tokens(self.ids).tolist(), pa.string()),
            "label": pa.array(labels, pa.int32()),
            "level": pa.array(s2.level(self.ids).astype(np.int8), pa.int8()),
            "count": pa.array(self.counts, pa.int64()),
            "latitude": pa.array(latitude),
            "longitude": pa.array(longitude),
            "mean_latitude": pa.array(mean_latitude),
            "mean_longitude": pa.array(mean_longitude),
            **{name: pa.array(self.means[:, axis]) for axis, name in enumerate(_AXES)},
        }
        about = {**self.about, "format": FORMAT, "cells_sha256": self.digest}
        return pa.table(columns).replace_schema_metadata({_KEY: json.dumps(about, sort_keys=True).encode()})

    @property
    def digest(self) -> str:
        """sha256 of ids, counts, means and classes: of what was found, not of how."""
        labels = np.arange(len(self), dtype=np.int32) if self.labels is None else self.labels.astype(np.int32)
        found = hashlib.sha256()
        for column, kind in ((self.ids, "<u8"), (self.counts, "<i8"), (self.means, "<f8"), (labels, "<i4")):
            found.update(np.ascontiguousarray(column, kind).tobytes())
        return found.hexdigest()


def about(schema: pa.Schema) -> dict[str, Any]:
    """What a file of cells says of itself.

    Raises:
        ValueError: if it is no such file, or of a format that this version cannot read.
    """
    try:
        facts: dict[str, Any] = json.loads((schema.metadata or {})[_KEY])
    except (KeyError, ValueError):
        raise ValueError("this is no file of cells: it does not say how they were made") from None
    if facts.get("format") != FORMAT:
        raise ValueError(f"a file of cells of format {facts.get('format')!r} cannot be read, only {FORMAT}")
    return facts


def from_table(table: pa.Table) -> Cells:
    """Cells out of their Parquet table.

    Raises:
        ValueError: if it is none, ids are no cells, overlap or are not ascending, or the digest is another.
    """
    facts = about(table.schema)
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise ValueError(f"a file of cells has a column {missing[0]}, this one does not")
    ids, labels, counts, *means = (table[name].to_numpy() for name in _NEEDED)
    if ids.dtype != np.uint64 or not s2.is_valid(ids).all() or (ids[:-1] >= ids[1:]).any():
        raise ValueError("the ids are not S2 cells in ascending order, as uint64")
    check_disjoint(ids)
    rows = np.array_equal(labels, np.arange(len(ids)))
    cells = Cells(ids, counts, np.stack(means, axis=-1), None if rows else labels, facts)
    if cells.digest != facts.get("cells_sha256"):
        raise ValueError("the cells are not those that were written: their sha256 differs")
    return cells
