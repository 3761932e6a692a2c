"""A shard written whole, with the same bytes each time, or recognised as written.

Images are stored as they are, uncompressed, in row groups of up to 128 rows and 32 MiB; the other columns are small
and compressed. The footer says what the shard was made of, so that a rerun knows it again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from jobs import storage
from jobs.intake.cut import STATE, Plan
from jobs.intake.ids import SOURCE, STATES, to_footer
from jobs.spec import JobFailed
from vision import corpora, names
from vision.layout import Layout, Options, Source

WRITER_VERSION = 1
"""Changes when the same records would give other bytes."""

PLAN = b"safelight.plan"
GROUP_ROWS = 128
GROUP_BYTES = 32 * 2**20
LARGEST = 2**30
"""Bytes of an image: more would not fit into a worker."""

COPIED = (pa.field("image", pa.binary()),)
REFERRED = (pa.field("uri", pa.string()), pa.field("bytes", pa.int64()), pa.field("etag", pa.string()))


@dataclass(frozen=True)
class Receipt:
    """A finished shard."""

    file: str
    rows: int
    bytes: int
    sha256: str
    found: bool


@dataclass(frozen=True)
class Writer:
    """Writes planned shards, wherever it is sent to.

    Attributes:
        source, layout, options: where images come from.
        corpus: where shards go.
        columns: the question's columns.
        keep: `copy` or `reference`.
        code: the user's folder that the layout may be in.
    """

    source: str
    layout: str
    options: Options
    corpus: str
    columns: pa.Schema
    keep: str
    code: str | None = None

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field("id", pa.string()), *image_fields(self.keep), *self.columns])

    @cached_property
    def _layout(self) -> Layout:
        if self.code is not None:
            names.trust(self.code)
        return corpora.find(self.layout)

    @cached_property
    def _source(self) -> Source:
        return storage.source(self.source)

    def __call__(self, plan: Plan) -> Receipt:
        """Make a shard, unless it is there.

        Raises:
            JobFailed: if an image cannot be read or the shard not be written.
        """
        url = storage.join(self.corpus, plan.file)
        try:
            return _found(url, plan) or self._write(url, plan)
        except (OSError, ValueError) as error:
            raise JobFailed(f"{plan.file}: {str(error).splitlines()[0]}") from None

    def _write(self, url: str, plan: Plan) -> Receipt:
        entries = plan.entries
        with storage.upload(url) as stream:
            sink = Hashing(stream)
            with parquet_writer(sink, self.schema) as writer:
                for rows in self._groups(entries):
                    writer.write_table(rows, row_group_size=max(rows.num_rows, 1))
                footer = {PLAN: plan.fingerprint, STATES: to_footer(entries[STATE].to_numpy()), SOURCE: self.source}
                writer.add_key_value_metadata(footer)
        return Receipt(plan.file, plan.rows, sink.written, sink.digest.hexdigest(), found=False)

    def _groups(self, entries: pa.Table) -> Iterator[pa.Table]:
        """Row groups of the shard."""
        if self.keep == "reference":
            for start in range(0, entries.num_rows, GROUP_ROWS):
                yield self._rows(entries.slice(start, GROUP_ROWS), self._references(entries.slice(start, GROUP_ROWS)))
            return
        held: list[bytes] = []
        start = size = 0
        for image in self._layout.images(self._source, entries, self.options):
            if len(image) > LARGEST:
                raise ValueError(f"{entries['id'][start + len(held)]} has {len(image):,} bytes: too large for an image")
            if held and (len(held) == GROUP_ROWS or size + len(image) > GROUP_BYTES):
                yield self._rows(entries.slice(start, len(held)), [pa.array(held, pa.binary())])
                start, held, size = start + len(held), [], 0
            held.append(image)
            size += len(image)
        if start + len(held) != entries.num_rows:
            raise ValueError(f"{start + len(held)} images were read where {entries.num_rows} were listed")
        yield self._rows(entries.slice(start), [pa.array(held, pa.binary())])

    def _rows(self, entries: pa.Table, images: list[pa.Array]) -> pa.Table:
        others = [entries[name] for name in self.columns.names]
        return pa.table([entries["id"], *images, *others], schema=self.schema)

    def _references(self, entries: pa.Table) -> list[pa.Array]:
        """URL, size and mark of each file as it is now."""
        urls = [_url(self._source, self.source, file) for file in entries["file"].to_pylist()]
        with ThreadPoolExecutor(16) as pool:
            infos = list(pool.map(storage.info, urls))
        for url, info, size in zip(urls, infos, entries["length"].to_pylist(), strict=True):
            if info.type != pafs.FileType.File or (size is not None and info.size != size):
                raise ValueError(f"{url} is gone or changed since it was listed")
        marks = [storage.mark(info) for info in infos]
        return [pa.array(urls), pa.array([info.size for info in infos], pa.int64()), pa.array(marks)]


def image_fields(keep: str) -> tuple[Any, ...]:
    """The columns that stand for an image."""
    return COPIED if keep == "copy" else REFERRED


def _url(source: Source, root: str, file: str) -> str:
    if "://" in file or file.startswith("/"):
        return file
    path = source.at(file)[1]
    return f"s3://{path}" if storage.is_s3(root) else path


def _found(url: str, plan: Plan) -> Receipt | None:
    """The receipt of a shard that is there already, by its footer.

    Raises:
        JobFailed: if something else lies in its place.
    """
    info = storage.info(url)
    if info.type != pafs.FileType.File:
        return None
    footer = footer_of(url)
    if footer is None or PLAN not in footer:
        raise JobFailed(f"{url} is there and is not a shard that ingest made: choose another corpus")
    if footer[PLAN].decode() != plan.fingerprint:
        return None
    filesystem, path = storage.locate(url)
    digest = hashlib.sha256()
    with filesystem.open_input_stream(path) as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return Receipt(plan.file, plan.rows, info.size, digest.hexdigest(), found=True)


def footer_of(url: str) -> dict[bytes, bytes] | None:
    """What a Parquet file's footer says; None if it is no Parquet file."""
    filesystem, path = storage.locate(url)
    try:
        return pq.read_metadata(path, filesystem=filesystem).metadata or {}
    except (pa.ArrowInvalid, OSError):
        return None


def parquet_writer(sink: Any, schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of shards: images as they are, the rest compressed."""
    leaves = _leaves(schema)
    return pq.ParquetWriter(
        sink,
        schema,
        compression={leaf: "none" if leaf == "image" else "zstd" for leaf in leaves},
        use_dictionary=[leaf for leaf in leaves if leaf not in ("image", "id")],
        write_statistics=[leaf for leaf in leaves if leaf != "image"],
    )


def _leaves(schema: pa.Schema) -> list[str]:
    """The Parquet columns of a schema, `boxes.list.element` and the like."""
    sink = io.BytesIO()
    pq.write_table(schema.empty_table(), sink)
    sink.seek(0)
    columns = pq.read_metadata(sink).schema
    return [columns.column(i).path for i in range(len(columns.names))]


class Hashing(io.RawIOBase):
    """A stream that counts and digests what goes through it, and leaves closing to its owner."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self.digest = hashlib.sha256()
        self.written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        self.digest.update(content)
        self.written += len(content)
        self._inner.write(content)
        return len(content)

    def tell(self) -> int:
        return self.written
