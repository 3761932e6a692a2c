"""Layouts under test: sources made of a few files, listed and read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from vision.layout import ENTRY, Layout, Listing, Options, Source


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files by relative path."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def tar(files: Iterable[tuple[str, bytes]], mode: str = "w") -> bytes:
    """A tar archive of files by name; `mode` as `tarfile.open` takes it, such as `w:gz`."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def source(root: Path | str, filesystem: pafs.FileSystem | None = None) -> Source:
    """A source on this machine, or on the filesystem given."""
    local = pafs.LocalFileSystem()
    return Source(filesystem or local, str(root), lambda url: (local, url.removeprefix("file://")))


def table(layout: Layout, root: Path | str, filesystem: Any = None, **options: Any) -> tuple[Listing, pa.Table]:
    """The listing and all its entries."""
    listing = layout.scan(source(root, filesystem), Options(**options))
    schema = pa.schema([*ENTRY, *listing.columns])
    tables = list(listing.entries)
    assert all(part.schema == schema for part in tables), "entries fit their schema"
    return listing, pa.concat_tables([schema.empty_table(), *tables])


def listed(
    layout: Layout, root: Path | str, filesystem: Any = None, **options: Any
) -> tuple[Listing, list[dict[str, Any]]]:
    """The listing and its entries as dicts."""
    listing, entries = table(layout, root, filesystem, **options)
    return listing, entries.to_pylist()


def read(layout: Layout, root: Path | str, filesystem: Any = None, **options: Any) -> list[bytes]:
    """The bytes of all images."""
    _, entries = table(layout, root, filesystem, **options)
    return list(layout.images(source(root, filesystem), entries, Options(**options)))
