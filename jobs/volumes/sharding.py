"""A block as the bytes of one shard of zarr v3: its chunks compressed one after another, an index and its checksum.

The bytes are those that zarr-python writes, without its loop of events and threads: a worker is one core, and holds
one chunk besides the block.

Reference: zarr v3 specification, codec `sharding_indexed` 1.0: chunks in any order (here Morton's, as zarr-python's),
index of (offset, length) at the end, little-endian, all ones for a chunk of zeros, CRC-32C after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.connectomics.installed import library

_EMPTY = 2**64 - 1
LEVEL = 3


@dataclass(frozen=True)
class Sharding:
    """How blocks become shards.

    Attributes:
        shard, chunk: voxels along each axis, channels in front where there are any; chunks divide shards.
        dtype: of a voxel.
    """

    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str

    def packed(self, values: Array) -> bytes:
        """The bytes of a shard; b"" for a block of zeros, which is no file.

        Args:
            values: of `dtype`, at most as large as a shard: beyond are zeros, as at the upper ends of a volume.
        """
        index, parts, at = np.full((*self._counts, 2), _EMPTY, "<u8"), list[bytes](), 0
        for place in self._order:
            part = values[tuple(slice(p * c, (p + 1) * c) for p, c in zip(place, self.chunk, strict=True))]
            if not part.any():
                continue
            data = self._codec.encode(self._whole(part))
            index[place] = at, len(data)
            at += len(data)
            parts.append(data)
        if not parts:
            return b""
        table = index.tobytes()
        checksum = library("google_crc32c").value(table).to_bytes(4, "little")
        return b"".join([*parts, table, checksum])

    def _whole(self, part: Array) -> Array:
        """A chunk in one piece, filled up with zeros."""
        if part.shape == self.chunk:
            return np.ascontiguousarray(part)
        found = np.zeros(self.chunk, self.dtype)
        found[tuple(slice(n) for n in part.shape)] = part
        return found

    @property
    def _counts(self) -> tuple[int, ...]:
        return tuple(s // c for s, c in zip(self.shard, self.chunk, strict=True))

    @cached_property
    def _order(self) -> list[tuple[int, ...]]:
        return sorted(product(*map(range, self._counts)), key=lambda place: morton(place, self._counts))

    @cached_property
    def _codec(self) -> Any:
        blosc = library("numcodecs.blosc")
        blosc.use_threads = False  # a worker is one core; zarr-python says the same
        kind = np.dtype(self.dtype)
        shuffle = blosc.BITSHUFFLE if shuffled(self.dtype) else blosc.NOSHUFFLE
        return blosc.Blosc("zstd", LEVEL, shuffle, typesize=kind.itemsize)


def compressor(dtype: str) -> Any:
    """The codec of chunks, as zarr-python names it."""
    name = "bitshuffle" if shuffled(dtype) else "noshuffle"
    size = np.dtype(dtype).itemsize
    return library("zarr.codecs").BloscCodec(cname="zstd", clevel=LEVEL, shuffle=name, typesize=size)


def shuffled(dtype: str) -> bool:
    """Whether bits of neighbouring voxels are laid together: ids are alike in nearly all of them."""
    return np.dtype(dtype).kind in "ui" and np.dtype(dtype).itemsize > 1


def morton(place: Sequence[int], counts: Sequence[int]) -> int:
    """Number of a place along a Z-shaped curve; axes that end earlier have no further bits.

    >>> [morton((z, y), (2, 4)) for z, y in ((0, 0), (1, 0), (0, 1), (1, 1), (0, 2))]
    [0, 1, 2, 3, 4]
    """
    code = shift = 0
    for bit in range(max((count - 1).bit_length() for count in counts)):
        for at, count in zip(place, counts, strict=True):
            if bit < (count - 1).bit_length():
                code |= (at >> bit & 1) << shift
                shift += 1
    return code
