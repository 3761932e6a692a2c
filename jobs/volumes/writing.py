"""A volume written block by block: zarr v3 with one shard a block, so that two writers never share a file.

What is written is a group with OME-NGFF's description and its array `0`. Labels are compressed by blosc's zstd after a
bitshuffle (69 to 1 on real neurons, against 17 without). A block of zeros writes nothing: who counts what is done
counts blocks, and never asks the voxels.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jobs import storage
from jobs.spec import JobFailed, SpecError
from jobs.volumes.sharding import Sharding, compressor
from vision.accumulator import Array
from vision.connectomics.blocks import Block, Grid, Zyx
from vision.connectomics.installed import library
from vision.corpora import ngff
from vision.corpora.volumes import Lengths

ARRAY = "0"
CHUNK = 64
"""Voxels along an axis of what is read at once, inside a shard, where they divide it."""


@dataclass(frozen=True)
class Target:
    """A volume to be written.

    Attributes:
        url: of the group.
        grid: whose write boxes are its shards.
        dtype: of a voxel.
        voxel_nm, offset_nm: as in `vision.corpora.volumes.Volume`.
        about: plain values that say what made it, kept with the array.
        channels: how many arrays of that shape lie one after another in front; 0: it is (z, y, x) itself.
    """

    url: str
    grid: Grid
    dtype: str
    voxel_nm: Lengths | None = None
    offset_nm: Lengths = (0.0, 0.0, 0.0)
    about: Mapping[str, Any] | None = None
    channels: int = 0

    @property
    def _front(self) -> tuple[int, ...]:
        return (self.channels,) if self.channels else ()

    @property
    def sharding(self) -> Sharding:
        """How a block is laid out in its file."""
        chunk = (*((1,) if self.channels else ()), *chunk_of(self.grid.size))
        return Sharding((*self._front, *self.grid.size), chunk, self.dtype)

    def begin(self) -> None:
        """Write what describes the volume, or check that it is described so already.

        Raises:
            SpecError: if there is something else at its place.
        """
        if storage.exists(storage.join(self.url, ARRAY, "zarr.json")):
            self._check()
        elif storage.children(self.url):
            raise SpecError(f"{self.url} is not empty and holds no volume: choose another --output")
        else:
            self._create()
        name = self.url.rsplit("/", 1)[-1]
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": ngff.written(name, self.voxel_nm, self.offset_nm, channels=self.channels),
        }
        storage.write(storage.join(self.url, "zarr.json"), json.dumps(group, indent=2).encode())

    def _create(self) -> None:
        from jobs.volumes.store import Stored

        library("zarr").create_array(
            store=Stored(self.url, writing=True), name=ARRAY, shape=(*self._front, *self.grid.shape),
            dtype=self.dtype, chunks=self.sharding.chunk, shards=self.sharding.shard,
            compressors=compressor(self.dtype), fill_value=0,
            dimension_names=("c", "z", "y", "x")[not self.channels :], attributes={"safelight": dict(self.about or {})},
        )  # fmt: skip

    def _check(self) -> None:
        held = json.loads(storage.read(storage.join(self.url, ARRAY, "zarr.json")))
        found = (tuple(held["shape"]), tuple(held["chunk_grid"]["configuration"]["chunk_shape"]), held["data_type"])
        wanted = ((*self._front, *self.grid.shape), (*self._front, *self.grid.size), self.dtype)
        for name, there, now in zip(("shape", "block", "dtype"), found, wanted, strict=True):
            if there != now:
                raise SpecError(f"{self.url} has {name} {there} and not {now}: choose another --output")

    def file(self, number: int) -> str:
        """Where a block's shard lies, relative to the group."""
        return "/".join([ARRAY, "c", *(["0"] if self.channels else []), *map(str, self.grid.index(number))])

    def writer(self) -> Writer:
        """What writes blocks, where it lives."""
        return Writer(self)


class Writer:
    """Writes whole blocks of a target."""

    def __init__(self, target: Target) -> None:
        self._target, self._sharding = target, target.sharding

    def write(self, block: Block, values: Array | None) -> str:
        """Write a block's voxels (its write box); None or zeros write nothing, and remove what was there.

        Returns:
            sha256 of the file, or "" where there is none.

        Raises:
            JobFailed: if values do not fit: another shape, or numbers that the type cannot hold.
        """
        place = storage.join(self._target.url, self._target.file(block.number))
        data = b"" if values is None else self._sharding.packed(self._fitting(block, values))
        if not data:
            storage.remove(place)
            return ""
        storage.write(place, data)
        return hashlib.sha256(data).hexdigest()

    def _fitting(self, block: Block, values: Array) -> Array:
        shape = (*self._target._front, *block.write.shape)
        if values.shape != shape:
            raise JobFailed(f"block {block.number} must be {shape}, got {values.shape}")
        if not np.can_cast(values.dtype, self._target.dtype, "same_kind"):
            raise JobFailed(f"block {block.number} must hold {self._target.dtype}, got {values.dtype}")
        return values.astype(self._target.dtype, copy=False)


def chunk_of(block: Zyx) -> Zyx:
    """The chunk of a shard: along each axis the divisor that is nearest to `CHUNK`, by ratio.

    >>> chunk_of((128, 33, 125)), chunk_of((200, 131, 1000))
    ((64, 33, 125), (50, 131, 50))
    """

    def along(size: int) -> int:
        divisors = (n for n in range(1, size + 1) if size % n == 0)
        return min(divisors, key=lambda n: max(n / CHUNK, CHUNK / n))

    return along(block[0]), along(block[1]), along(block[2])
