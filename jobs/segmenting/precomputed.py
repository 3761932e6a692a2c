"""Labels as neuroglancer's precomputed volume, block by block, through tensorstore.

Blocks are chunks of `compressed_segmentation`; a block of the grid is a whole number of them, so workers never share
one. Its axes are x, y, z, channel.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from jobs import storage
from jobs.spec import SpecError
from jobs.stages.stage import Made
from jobs.volumes.chunked import kvstore
from jobs.volumes.opening import at
from jobs.volumes.writing import chunk_of
from vision.connectomics.blocks import Block, Grid
from vision.connectomics.installed import library
from vision.corpora.volumes import Address, Lengths

BYTES_A_VOXEL = 32
"""Memory for each voxel of a block: ids, turned round and packed."""

BESIDE = ("mesh", "skeletons")
"""Folders that `info` may name."""


@dataclass(frozen=True)
class Precomputed:
    """What is written where; picklable.

    Attributes:
        labels: the volume to copy.
        url: of the folder that comes out.
        grid: its blocks.
        voxel_nm, offset_nm: as in `vision.corpora.volumes.Volume`.
        beside: folders of meshes and skeletons that lie beside it; those of earlier runs stay.
    """

    labels: Address
    url: str
    grid: Grid
    voxel_nm: Lengths | None
    offset_nm: Lengths
    beside: tuple[str, ...] = ()

    def begin(self) -> None:
        """Write `info`, the same each time.

        Raises:
            SpecError: if the offset is no whole number of voxels, or something else is there.
        """
        size = self.voxel_nm or (1.0, 1.0, 1.0)
        offset = [o / s for o, s in zip(self.offset_nm, size, strict=True)]
        if any(abs(o - round(o)) > 1e-6 for o in offset):
            raise SpecError(f"precomputed: the offset {self.offset_nm} nm is no whole number of voxels of {size} nm")
        scale = {
            "key": self.key, "size": list(reversed(self.grid.shape)), "resolution": list(reversed(size)),
            "voxel_offset": [round(o) for o in reversed(offset)], "encoding": "compressed_segmentation",
            "chunk_sizes": [list(reversed(chunk_of(self.grid.size)))],
            "compressed_segmentation_block_size": [8, 8, 8],
        }  # fmt: skip
        info = {
            "@type": "neuroglancer_multiscale_volume", "type": "segmentation", "data_type": "uint64",
            "num_channels": 1, "scales": [scale], **{name: name for name in BESIDE if self._has(name)},
        }  # fmt: skip
        storage.write(storage.join(self.url, "info"), json.dumps(info, indent=1).encode() + b"\n")

    def _has(self, name: str) -> bool:
        return name in self.beside or storage.exists(storage.join(self.url, name, "info"))

    @property
    def key(self) -> str:
        """The folder of the chunks, named after the voxel size."""
        return "_".join(f"{length:g}" for length in reversed(self.voxel_nm or (1.0, 1.0, 1.0)))

    def make(self) -> Copying:
        """What works, where it lives."""
        return Copying(self)


class Copying:
    """Copies blocks of labels."""

    def __init__(self, how: Precomputed) -> None:
        self._how, self._labels = how, at(how.labels, "labels", labels=True)
        ts = library("tensorstore")
        spec = {"driver": "neuroglancer_precomputed", "kvstore": kvstore(how.url)}
        self._array = ts.open(spec, open=True).result()
        self._origin = self._array.domain.origin[:3]

    def block(self, block: Block) -> Made:
        values = self._labels.read(block.write)
        x, y, z = (
            slice(s.start + o, s.stop + o) for s, o in zip(reversed(block.write.slices), self._origin, strict=True)
        )
        self._array[x, y, z, 0].write(values.T).result()
        return Made(part=hashlib.sha256(values.tobytes()).hexdigest())

    def files(self, block: Block) -> Sequence[str]:
        """The chunks of a block, as neuroglancer names them: x, y and z from begin to end."""
        how = self._how
        chunk, first = tuple(reversed(chunk_of(how.grid.size))), [int(at) for at in self._origin]
        spans = []
        for axis, (begin, end) in enumerate(zip(reversed(block.write.begin), reversed(block.write.end), strict=True)):
            starts = range(begin, end, chunk[axis])
            spans.append([f"{s + first[axis]}-{min(s + chunk[axis], end) + first[axis]}" for s in starts])
        return [storage.join(how.url, how.key, "_".join(name)) for name in product(*spans)]

    def seal(self, parts: Sequence[Any]) -> bytes:
        """What was copied; the group's file, beside chunks that neuroglancer reads."""
        return "".join(f"{part}\n" for part in parts).encode()
