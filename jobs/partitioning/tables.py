"""Positions from a table of one's own, whole in memory, with the subset of rows that a job asks for."""

from __future__ import annotations

import hashlib
from functools import reduce

import numpy as np
import pyarrow as pa

from jobs import storage, tables
from jobs.engine.selection import ROW, hashes, resolve
from jobs.partitioning.columns import Columns, ids_of
from jobs.partitioning.state import Kept
from jobs.reading import pieces
from jobs.records import Reads
from jobs.spec import SpecError
from vision.accumulator import Counts
from vision.corpus import Corpus
from vision.geolocation.counts import Leaves

_BLOCK = 8 * 2**20
_ROWS = 1 << 20
"""Rows whose degrees are numbers in memory at once; of the others only the ids are."""


def leaves(url: str, columns: Columns, subset: Reads) -> Kept:
    """The photos of a table.

    Raises:
        SpecError: if it cannot be read, or lacks a column.
    """
    table = tables.read(url)
    columns.check(table.column_names, url)
    table = _chosen(table, columns, subset).select(columns.needed)
    parts = [ids_of(piece, columns) for piece in pieces(table, _ROWS)] or [ids_of(table, columns)]
    ids, counts = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    rejected = reduce(Counts.merge, (part[2] for part in parts))
    return Kept(Leaves.of(ids, None if columns.count is None else counts), rejected)


def sha256(url: str) -> str:
    """The digest of a file."""
    filesystem, path = storage.locate(url)
    digest = hashlib.sha256()
    with filesystem.open_input_stream(path) as stream:
        while chunk := stream.read(_BLOCK):
            digest.update(chunk)
    return digest.hexdigest()


def _chosen(table: pa.Table, columns: Columns, subset: Reads) -> pa.Table:
    """The rows of a subset, by the same words as in a corpus."""
    fields = (subset.where, subset.limit, subset.sample, subset.join, subset.stratify)
    if all(field is None for field in fields):
        return table
    if subset.stratify is not None:
        raise SpecError("stratify: a table is sampled as a whole; ingest it to keep shares")
    table = _with_ids(table, columns)
    rowwise = subset.model_copy(update={"sample": None, "limit": None})
    selection = resolve(rowwise, "", Corpus(name="table"), "")
    table = selection.rows(table, "").drop_columns([ROW])
    if subset.sample is not None and len(table) > subset.sample:
        drawn = hashes(table["id"], subset.seed)
        lowest = np.sort(np.argsort(drawn, kind="stable")[: subset.sample])
        table = table.take(pa.array(lowest))
    return table.slice(0, subset.limit)


def _with_ids(table: pa.Table, columns: Columns) -> pa.Table:
    """The column `id` as text: the one that was named, or the number of the row."""
    ids = table[columns.id] if columns.id else table["id"] if "id" in table.column_names else None
    texts = pa.array(np.arange(len(table))).cast(pa.string()) if ids is None else ids.cast(pa.string())
    if "id" in table.column_names:
        return table.set_column(table.column_names.index("id"), "id", texts)
    return table.append_column("id", texts)
