"""Lookup tables at rest: for each threshold a folder of Parquet files, one for each group of blocks.

A file holds the fragments of a group, rising, and the segment of each: what a worker needs to relabel the group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jobs import storage
from jobs.segmenting import rows
from vision.connectomics.relabel import Lookup


def name(threshold: float) -> str:
    """A threshold as the name of a folder.

    >>> name(0.3), name(0.125)
    ('0.3', '0.125')
    """
    return f"{threshold:g}"


def part(group: int) -> str:
    """Name of a group's file."""
    return f"part-{group:06d}.parquet"


def write(url: str, table: Lookup) -> bytes:
    """Write rows; the bytes that were written."""
    data = rows.packed({"fragment": table.ids, "segment": table.values})
    storage.write(url, data)
    return data


def read(url: str) -> Lookup:
    """The rows in a file.

    Raises:
        JobFailed: if it is missing or damaged.
    """
    found = rows.read(url)
    return Lookup(found["fragment"].to_numpy(), found["segment"].to_numpy())


def joined(parts: Sequence[Lookup]) -> Lookup:
    """One table of several; a fragment that is in more than one has the same segment in all."""
    ids = np.concatenate([part.ids for part in parts] or [np.empty(0, np.uint64)])
    values = np.concatenate([part.values for part in parts] or [np.empty(0, np.uint64)])
    kept, first = np.unique(ids, return_index=True)
    return Lookup(kept, values[first])
