"""The rows of a table that a job asks for, by the same words as in a corpus; and what a table is, as a digest."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.engine.selection import ROW, hashes, resolve
from jobs.records import Reads
from jobs.spec import SpecError
from vision.corpus import Corpus

_BLOCK = 8 * 2**20


def sha256(url: str) -> str:
    """The digest of a file."""
    filesystem, path = storage.locate(url)
    digest = hashlib.sha256()
    with filesystem.open_input_stream(path) as stream:
        while chunk := stream.read(_BLOCK):
            digest.update(chunk)
    return digest.hexdigest()


def narrowed(subset: Reads) -> bool:
    """Whether a job asks for some of the rows, or for columns that come later."""
    fields = (subset.where, subset.limit, subset.sample, subset.join, subset.stratify)
    return any(field is not None for field in fields)


def chosen(table: pa.Table, subset: Reads, id_column: str | None) -> pa.Table:
    """The rows of a subset; they have the column `id` then: the one that was named, or the number of the row.

    Raises:
        SpecError: if the words do not fit the table.
    """
    if not narrowed(subset):
        return table
    if subset.stratify is not None:
        raise SpecError("stratify: a table is sampled as a whole; ingest it to keep shares")
    table = _with_ids(table, id_column)
    rowwise = subset.model_copy(update={"sample": None, "limit": None})
    selection = resolve(rowwise, "", Corpus(name="table"), "")
    table = selection.rows(table, "").drop_columns([ROW])
    if subset.sample is not None and len(table) > subset.sample:
        drawn = hashes(table["id"], subset.seed)
        lowest = np.sort(np.argsort(drawn, kind="stable")[: subset.sample])
        table = table.take(pa.array(lowest))
    return table.slice(0, subset.limit)


def _with_ids(table: pa.Table, id_column: str | None) -> pa.Table:
    ids = table[id_column] if id_column else table["id"] if "id" in table.column_names else None
    texts = pa.array(np.arange(len(table))).cast(pa.string()) if ids is None else ids.cast(pa.string())
    if "id" in table.column_names:
        return table.set_column(table.column_names.index("id"), "id", texts)
    return table.append_column("id", texts)
