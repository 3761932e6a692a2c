"""How raw files parse: a layout lists the records of a source and reads their bytes.

A layout never holds a collection in memory: `scan` streams tables of entries (no pixels), which ingest cuts into
shards, and `images` later reads the bytes of a run of entries, on whichever machine writes that shard. Adding a
layout is one file in `vision/corpora/` with `LAYOUT = Layout(...)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.fs as pafs

ENTRY = pa.schema(
    [
        ("id", pa.string()),
        ("split", pa.string()),
        ("file", pa.string()),  # relative to the source, or a whole URL
        ("offset", pa.int64()),  # where the image starts in `file`, or its number there; null: the whole file
        ("length", pa.int64()),  # its bytes; null if unknown
        ("modified", pa.string()),  # changes when the file does: its time or etag
    ]
)
"""The columns every entry has; the question's columns (label, boxes, ...) follow."""


@dataclass(frozen=True)
class Source:
    """Raw files: a filesystem, a folder or one file in it, and a way to open a URL found in a table."""

    filesystem: pafs.FileSystem
    root: str
    resolve: Callable[[str], tuple[pafs.FileSystem, str]]

    def at(self, file: str) -> tuple[pafs.FileSystem, str]:
        """The filesystem and path of a file named relative to the source, or by a whole URL."""
        if "://" in file or file.startswith("/"):
            return self.resolve(file)
        return self.filesystem, f"{self.root}/{file}" if file else self.root


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


@dataclass
class Listing:
    """What `scan` found. `notes` fills while `entries` is read: what was ignored, renamed or converted."""

    columns: pa.Schema
    entries: Iterable[pa.Table]
    classes: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    licence: str = ""


def read_files(source: Source, entries: pa.Table) -> Iterator[bytes]:
    """The bytes of each entry: its whole file, or `length` bytes from `offset`.

    Raises:
        OSError: if a file is missing, unreadable or shorter than it was when listed.
    """
    for file, offset, length in zip(*(entries[name].to_pylist() for name in ("file", "offset", "length")), strict=True):
        filesystem, path = source.at(file)
        with filesystem.open_input_file(path) as stream:
            data = stream.read() if offset is None else stream.read_at(length, offset)
        if length is not None and len(data) != length:
            raise OSError(f"{file} has {len(data)} bytes where {length} were listed: it changed or is cut short")
        yield data


@dataclass(frozen=True)
class Layout:
    """A way in which collections lie on disk.

    `inside_containers` says that images have no file of their own (archives, batches): entries of one file are then
    read together, and cannot be kept by reference.
    """

    name: str
    scan: Callable[[Source, Options], Listing]
    images: Callable[[Source, pa.Table], Iterator[bytes]] = read_files
    inside_containers: bool = False
