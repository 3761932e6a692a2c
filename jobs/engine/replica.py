"""One worker: reads a leased shard, answers its records, commits the answers under the shard's own name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.engine.commit import Receipt, write_shard
from jobs.engine.selection import ROW, Selection, small_columns
from jobs.spec import JobFailed
from vision import names
from vision.accumulator import Array
from vision.image import CorruptImage
from vision.model import Model
from vision.predictor import Asked

_CHUNK = 8 * 2**20


@dataclass(frozen=True)
class Lease:
    """A shard to answer: a descriptor of some 300 bytes, all that crosses Ray."""

    file: str
    sha256: str
    fingerprint: str

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True)
class Replica:
    """What a worker is made of; `make` builds it where it will work.

    Attributes:
        corpus, output: URLs.
        columns: of the corpus that are wanted, besides pixels.
    """

    corpus: str
    output: str
    model: Model
    asked: Asked
    selection: Selection
    code: str | None = None

    def make(self) -> _Worker:
        if self.code:
            names.trust(self.code)
        return _Worker(self)


class _Worker:
    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._predictor = names.room(replica.model.task).predictor(replica.model, replica.asked)

    def __call__(self, lease: Lease) -> Receipt:
        url = storage.join(self._replica.corpus, lease.file)
        with open_shard(url, lease.sha256) as stream:
            shard = pq.ParquetFile(stream)
            rows = self._replica.selection.rows(small_columns(shard), lease.file)
            return write_shard(
                storage.join(self._replica.output, lease.file),
                lambda n, errors: Receipt(lease.file, lease.fingerprint, lease.sha256, n, errors),
                self._answers(shard, rows),
            )

    def _answers(self, shard: pq.ParquetFile, rows: pa.Table) -> Iterator[pa.Table]:
        """The answers of the selected rows, a table for each row group that has any."""
        numbers = rows[ROW].to_numpy()
        start, some = 0, False
        for group in range(shard.num_row_groups):
            end = start + shard.metadata.row_group(group).num_rows
            mine = np.flatnonzero((numbers >= start) & (numbers < end))
            if len(mine):
                yield self._answer(shard, group, numbers[mine] - start, rows.take(pa.array(mine)))
                some = True
            start = end
        if not some:
            yield self._answer(shard, None, np.empty(0, np.int64), rows.slice(0, 0))

    def _answer(self, shard: pq.ParquetFile, group: int | None, places: Array, rows: pa.Table) -> pa.Table:
        images = iter(()) if group is None else _images(shard, group, places)
        answers = self._predictor.answer(images, _truth(rows))
        return answers.add_column(0, "id", rows["id"].combine_chunks())


def open_shard(url: str, sha256: str) -> pa.NativeFile:
    """A shard, opened for reading after its bytes were checked.

    Raises:
        JobFailed: if it is missing or not what the manifest says.
    """
    filesystem, path = storage.locate(url)
    try:
        # From S3 each byte is fetched once, so the shard is held; a local file is read again from the page cache.
        stream = pa.BufferReader(storage.read(url)) if storage.is_s3(url) else filesystem.open_input_file(path)
    except FileNotFoundError:
        raise JobFailed(f"{url} is missing: the corpus is not whole (see `safelight verify`)") from None
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise JobFailed(f"{url} is damaged: its sha256 is not the manifest's (see `safelight verify`)")
    stream.seek(0)
    return stream


def _images(shard: pq.ParquetFile, group: int, places: Array) -> Iterator[bytes | CorruptImage]:
    """The bytes of some rows of a row group, or why there are none."""
    if "image" in shard.schema_arrow.names:
        column = shard.read_row_group(group, columns=["image"])["image"]
        for place in places:
            data = column[int(place)].as_py()
            yield CorruptImage("no image") if data is None else data
        return
    table = shard.read_row_group(group, columns=["uri", "etag"])
    for place in places:
        yield referenced(table["uri"][int(place)].as_py(), table["etag"][int(place)].as_py())


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


def _truth(rows: pa.Table) -> Array:
    """(N,) int64 labels, -1 where there are none."""
    if "label" not in rows.column_names or not pa.types.is_integer(rows["label"].type):
        return np.full(len(rows), -1, np.int64)
    return np.asarray(rows["label"].fill_null(-1).to_numpy(), np.int64)
