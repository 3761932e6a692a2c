"""Positions from a table of one's own, whole in memory, with the subset of rows that a job asks for."""

from __future__ import annotations

from functools import reduce

import numpy as np

from jobs import tables
from jobs.choosing import chosen
from jobs.partitioning.columns import Columns, ids_of
from jobs.partitioning.state import Kept
from jobs.reading import pieces
from jobs.records import Reads
from vision.accumulator import Counts
from vision.geolocation.counts import Leaves

_ROWS = 1 << 20
"""Rows whose degrees are numbers in memory at once; of the others only the ids are."""


def leaves(url: str, columns: Columns, subset: Reads) -> Kept:
    """The photos of a table.

    Raises:
        SpecError: if it cannot be read, or lacks a column.
    """
    table = tables.read(url)
    columns.check(table.column_names, url)
    table = chosen(table, subset, columns.id).select(columns.needed)
    parts = [ids_of(piece, columns) for piece in pieces(table, _ROWS)] or [ids_of(table, columns)]
    ids, counts = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    rejected = reduce(Counts.merge, (part[2] for part in parts))
    return Kept(Leaves.of(ids, None if columns.count is None else counts), rejected)
