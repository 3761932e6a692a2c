"""A shard of a corpus, opened: its bytes checked, its chosen rows known, its pictures a row group at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.engine.selection import ROW, Selection, small_columns
from jobs.spec import JobFailed
from vision.accumulator import Array
from vision.image import CorruptImage


@dataclass(frozen=True)
class Group:
    """The chosen rows of one row group: where they stand in it, and their small columns."""

    number: int
    places: Array
    rows: pa.Table


class OpenShard:
    """An input shard whose bytes are those that the manifest names.

    Raises:
        JobFailed: if it is missing or damaged.
    """

    def __init__(self, url: str, sha256: str, selection: Selection, file: str) -> None:
        self._parquet = pq.ParquetFile(pa.BufferReader(_checked(url, sha256)))
        self._rows = selection.rows(small_columns(self._parquet), file)

    def groups(self) -> list[Group]:
        """The row groups that hold a chosen row, in order; one without rows where there are none."""
        numbers, start, found = self._rows[ROW].to_numpy(), 0, []
        for number in range(self._parquet.num_row_groups):
            end = start + self._parquet.metadata.row_group(number).num_rows
            mine = np.flatnonzero((numbers >= start) & (numbers < end))
            if len(mine):
                found.append(Group(number, numbers[mine] - start, self._rows.take(pa.array(mine))))
            start = end
        return found or [Group(0, np.empty(0, np.int64), self._rows.slice(0, 0))]

    def images(self, group: Group) -> Iterator[bytes | CorruptImage]:
        """The bytes of each chosen row, or why there are none."""
        if not len(group.places):
            return
        if "image" in self._parquet.schema_arrow.names:
            column = self._parquet.read_row_group(group.number, columns=["image"], use_threads=False)["image"]
            for place in group.places:
                data = column[int(place)].as_py()
                yield CorruptImage("no image") if data is None else data
            return
        table = self._parquet.read_row_group(group.number, columns=["uri", "etag"], use_threads=False)
        for place in group.places:
            yield referenced(table["uri"][int(place)].as_py(), table["etag"][int(place)].as_py())


def _checked(url: str, sha256: str) -> bytes:
    """All of a shard: each byte is fetched once, for its digest and for its records (128 MiB by default)."""
    try:
        data = storage.read(url)
    except FileNotFoundError:
        raise JobFailed(f"{url} is missing: the corpus is not whole (see `safelight verify`)") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise JobFailed(f"{url} is damaged: its sha256 is not the manifest's (see `safelight verify`)")
    return data


def referenced(uri: str, etag: str | None) -> bytes | CorruptImage:
    """The bytes that a record points at, if they are still those it was made with."""
    try:
        found = storage.info(uri)
        if not found.is_file:
            return CorruptImage(f"gone: {uri}")
        if etag is not None and storage.mark(found) != etag:
            return CorruptImage(f"changed since it was ingested: {uri}")
        return storage.read(uri)
    except OSError as error:
        return CorruptImage(f"cannot be read: {uri} ({str(error).splitlines()[0]})")
