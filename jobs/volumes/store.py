"""zarr's files through `jobs.storage`: local or S3, each whole or not at all.

zarr asks for files by key and never learns where they lie.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import zarr.abc.store as base
from zarr.core.buffer import Buffer, BufferPrototype

from jobs import storage


class Stored(base.Store):
    """A zarr hierarchy at a URL.

    Args:
        url: of its root.
        writing: whether files may be written.
    """

    supports_writes = True
    supports_deletes = True
    supports_listing = True

    def __init__(self, url: str, *, writing: bool = False) -> None:
        super().__init__(read_only=not writing)
        self.url, self._writing = url, writing

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stored) and (self.url, self._writing) == (other.url, other._writing)

    def __str__(self) -> str:
        return self.url

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: base.ByteRequest | None = None
    ) -> Buffer | None:
        data = await asyncio.to_thread(_read, storage.join(self.url, key), byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, base.ByteRequest | None]]
    ) -> list[Buffer | None]:
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(storage.exists, storage.join(self.url, key))

    async def set(self, key: str, value: Buffer) -> None:
        await asyncio.to_thread(storage.write, storage.join(self.url, key), value.to_bytes())

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(storage.remove, storage.join(self.url, key))

    async def list(self) -> AsyncIterator[str]:
        for name in storage.files(self.url):
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        async for name in self.list():
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        root = storage.join(self.url, prefix) if prefix else self.url
        for name in await asyncio.to_thread(storage.children, root):
            yield name


def _read(url: str, part: base.ByteRequest | None) -> bytes | None:
    """The bytes of a file, or of a range of it; None if there is no file."""
    try:
        if part is None:
            return storage.read(url)
        if not storage.is_s3(url):
            return _read_local(Path(storage.absolute(url)), part)
        filesystem, path = storage.locate(url)
        with filesystem.open_input_file(path) as stream:
            start, stop = _span(part, stream.size())
            return bytes(stream.read_at(stop - start, start))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read_local(path: Path, part: base.ByteRequest) -> bytes:
    with path.open("rb") as stream:
        start, stop = _span(part, stream.seek(0, 2))
        stream.seek(start)
        return stream.read(stop - start)


def _span(part: Any, size: int) -> tuple[int, int]:
    if isinstance(part, base.RangeByteRequest):
        return part.start, min(part.end, size)
    if isinstance(part, base.OffsetByteRequest):
        return part.offset, size
    return max(0, size - part.suffix), size
