"""How raw files parse: a layout lists the records of a source and reads their bytes.

A layout never holds a collection in memory: `scan` streams tables of entries (no pixels), which ingest cuts into
shards, and `images` later reads the bytes of a run of entries, on whichever machine writes that shard. Adding a
layout is one file in `vision/corpora/` with `LAYOUT = Layout(...)`.
"""

from __future__ import annotations

import posixpath
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.fs as pafs

ENTRY: pa.Schema = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("split", pa.string()),  # null: the source has none
        pa.field("file", pa.string()),  # relative to the source's folder, a whole URL, or empty: the source itself
        pa.field("offset", pa.int64()),  # where the image starts in `file`, or its number there; null: the whole file
        pa.field("length", pa.int64()),  # its bytes, in a Parquet cell the mean of the row group; null if unknown
        pa.field("modified", pa.string()),  # changes when the file does: its time or etag
    ]
)
"""The columns every entry has; the question's columns (label, boxes, ...) follow."""


READ_AHEAD = 16
"""Files requested at once while a shard is read: hides the latency of an object store, holds as many images."""


class WrongOption(ValueError):
    """A flag that does not fit the source: a column it has not, or one that is needed and was not given."""


@dataclass(frozen=True)
class Source:
    """Raw files: a filesystem, a folder, file or pattern in it, and a way to open a URL found in a table."""

    filesystem: pafs.FileSystem
    root: str
    resolve: Callable[[str], tuple[pafs.FileSystem, str]]

    @cached_property
    def is_file(self) -> bool:
        return bool(self.filesystem.get_file_info(self.root).type == pafs.FileType.File)

    @cached_property
    def folder(self) -> str:
        """Where relative paths start: the source, or the folder it lies in when it is a file or a pattern."""
        pattern = "*" in posixpath.basename(self.root)
        return posixpath.dirname(self.root) if pattern or self.is_file else self.root

    def at(self, file: str) -> tuple[pafs.FileSystem, str]:
        """The filesystem and path of a file named relative to the source's folder, or by a whole URL."""
        if "://" in file or file.startswith("/"):
            return self.resolve(file)
        return self.filesystem, posixpath.normpath(f"{self.folder}/{file}") if file else self.root


@dataclass(frozen=True)
class Options:
    """The ingest flags a layout may read; the others do not concern it."""

    split: str | None = None
    path_column: str | None = None
    image_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    id_column: str | None = None
    skip_missing: bool = False
    latitude_column: str | None = None
    longitude_column: str | None = None
    time_column: str | None = None
    author_column: str | None = None
    album_column: str | None = None


@dataclass
class Listing:
    """What `scan` found: the question's columns, and the entries, read once.

    `notes` fills while `entries` is read: what was ignored, renamed or converted. So does `rejected`: records that
    were not fit for the corpus, by reason.
    """

    columns: pa.Schema
    entries: Iterable[pa.Table]
    classes: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    licence: str = ""
    rejected: Counter[str] = field(default_factory=Counter)


def read_files(source: Source, entries: pa.Table, options: Options | None = None) -> Iterator[bytes]:
    """The bytes of each entry: its whole file, or `length` bytes from `offset`. Reads `READ_AHEAD` files ahead.

    Raises:
        OSError: if a file is missing, unreadable or not as long as it was when listed.
    """
    wanted = zip(*(entries[name].to_pylist() for name in ("file", "offset", "length")), strict=True)
    waiting: deque[Future[bytes]] = deque()
    pool = ThreadPoolExecutor(READ_AHEAD)
    try:
        for file, offset, length in wanted:
            waiting.append(pool.submit(_read, source, file, offset, length))
            if len(waiting) >= READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _read(source: Source, file: str, offset: int | None, length: int | None) -> bytes:
    filesystem, path = source.at(file)
    with filesystem.open_input_file(path) as stream:
        stream.seek(offset or 0)
        data = bytes(stream.read() if offset is None else stream.read(length))
    if length is not None and len(data) != length:
        raise OSError(f"{file or path} has {len(data)} bytes where {length} were listed: changed or cut short")
    return data


@dataclass(frozen=True)
class Layout:
    """A way in which collections lie on disk.

    Attributes:
        scan: lists the records of a source.
        images: the bytes of a run of entries, in their order; lazily, so that few are in memory at a time.
        inside_containers: images have no file of their own (archives, batches) and cannot be kept by reference.
        options: names of the `Options` that it reads; ingest refuses the others. `split` is not one of them:
            entries without a split get it, and entries of other splits are left out, in every layout.
    """

    name: str
    scan: Callable[[Source, Options], Listing]
    images: Callable[[Source, pa.Table, Options], Iterator[bytes]] = read_files
    inside_containers: bool = False
    options: tuple[str, ...] = ()
