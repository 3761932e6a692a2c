"""Tar archives read in place, member by member: nothing is unpacked to disk.

What an archive can do to a reader is refused by name before it costs memory: paths that leave it, links, devices,
sparse files, members (or headers) that declare more than `LARGEST` bytes, an archive that ends too soon.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs

LARGEST = 256 * 2**20
"""Bytes that one member may have."""

ENDINGS = (".tar", ".tar.gz", ".tgz")
_NEAR, _FAR = 64 * 2**10, 8 * 2**20
_BLOCK = 512


@contextmanager
def _named(path: str) -> Iterator[None]:
    """What goes wrong inside an archive, with its name."""
    try:
        yield
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from None


@dataclass(frozen=True)
class Member:
    """A file in an archive: its path, where its bytes start in the (uncompressed) archive, and how many they are."""

    path: str
    offset: int
    size: int
    container: str
    archive: tarfile.TarFile
    info: tarfile.TarInfo

    def read(self) -> bytes:
        """Its bytes; only until the next member is asked for.

        Raises:
            ValueError: if the archive ends before.
        """
        with _named(self.container):
            stream = self.archive.extractfile(self.info)
            content = stream.read() if stream else b""
            if len(content) != self.size:
                raise tarfile.ReadError("unexpected end of data")
            return content


class _Capped(io.BufferedReader):
    """A stream that hands out no piece larger than `LARGEST`: a header may declare any size."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LARGEST + _BLOCK:
            raise tarfile.ReadError(f"a header or member declares {size:,} bytes, more than {LARGEST:,}")
        return super().read(size)


def is_compressed(path: str) -> bool:
    return path.endswith((".gz", ".tgz"))


def members(filesystem: pafs.FileSystem, path: str) -> Iterator[Member]:
    """The files of an archive in their order; `read` a member before the next is asked for.

    Raises:
        ValueError: if the archive is truncated, damaged or hostile.
    """
    with opened(filesystem, path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
        for info in archive:
            if not info.isdir():
                yield Member(_safe(info), info.offset_data, info.size, path, archive, info)
            # The archive would keep every header it has met.
            archive.members.clear()  # type: ignore[attr-defined]
        _ends_well(stream, archive.offset)


@contextmanager
def opened(filesystem: pafs.FileSystem, path: str) -> Iterator[Any]:
    """A stream of the uncompressed archive, seekable (a compressed one: cheaply only forward).

    Images are jumped over on a disk; an object store is read in large pieces, which costs fewer requests.

    Raises:
        ValueError: for what goes wrong inside, with the name of the archive.
    """
    near = isinstance(filesystem, pafs.LocalFileSystem)
    with _named(path), filesystem.open_input_file(path) as raw:
        buffered = io.BufferedReader(raw, _NEAR if near else _FAR)
        inner: Any = gzip.GzipFile(fileobj=buffered) if is_compressed(path) else buffered
        yield _Capped(inner, _NEAR)


def _safe(info: tarfile.TarInfo) -> str:
    path = info.name.removeprefix("./")
    if path.startswith("/") or ".." in path.split("/") or "\\" in path or "\0" in path:
        raise tarfile.ReadError(f"member {info.name!r} points out of it")
    if not info.isreg() or info.issparse():
        raise tarfile.ReadError(f"member {info.name!r} is not a plain file but a link, a device or sparse")
    if not 0 <= info.size <= LARGEST:
        raise tarfile.ReadError(f"member {info.name!r} declares {info.size:,} bytes, more than {LARGEST:,}")
    return path


def _ends_well(stream: Any, offset: int) -> None:
    """An archive ends with a block of zeros; without it, members may be missing."""
    stream.seek(offset)
    if stream.read(_BLOCK) != bytes(_BLOCK):
        raise tarfile.ReadError("it ends without its end mark")
    # A compressed archive carries its checksum at the very end.
    while stream.read(_FAR):
        pass
