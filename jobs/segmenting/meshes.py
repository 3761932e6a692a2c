"""The stage of meshes: surfaces of segments as neuroglancer reads them, a file for each segment and group of blocks.

OUT/precomputed/T/mesh/info, ID:0 (which files), ID:0:GROUP (triangles): the legacy single-resolution format. What
blocks make meets exactly, so files of a segment lie together without cracks. A group's own file lists what it left with
digests; where one of those is gone or torn, the group is done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from jobs import storage
from jobs.segmenting import rows
from jobs.spec import JobFailed
from jobs.stages.marks import is_whole
from jobs.stages.region import Region
from jobs.stages.stage import Made
from jobs.volumes.opening import at
from vision.connectomics.blocks import Block, Box
from vision.connectomics.surfaces import Ends, Mesh, joined, surfaces
from vision.corpora.volumes import Address, Lengths

T = TypeVar("T")

BYTES_A_VOXEL = 60
"""Memory for each voxel of a block: ids, their places among all of a block, and the floats of one segment."""

FOLDER = "mesh"
_READERS = 8


@dataclass(frozen=True)
class Meshing:
    """What surfaces are made of, and where they go; picklable.

    Attributes:
        labels: the segmentation.
        url: of the precomputed volume that they lie beside.
        region: the blocks.
        voxel_nm, offset_nm: as in `vision.corpora.volumes.Volume`.
    """

    labels: Address
    url: str
    region: Region
    voxel_nm: Lengths | None
    offset_nm: Lengths

    def make(self) -> Mesher:
        """What works, where it lives."""
        return Mesher(self)

    def file(self, name: str) -> str:
        """Where a file of the format lies."""
        return storage.join(self.url, FOLDER, name)


class Mesher:
    """Makes the surfaces of blocks."""

    def __init__(self, how: Meshing) -> None:
        self._how, self._labels = how, at(how.labels, "labels", labels=True)

    def block(self, block: Block) -> Made:
        box, ends = above(block.write, self._how.region)
        found = dict(surfaces(self._labels.read(box), box.begin, ends))
        triangles = sum(len(mesh.triangles) for mesh in found.values())
        return Made(part=(block.number, found), counts={"triangles": triangles})

    def seal(self, parts: Sequence[tuple[int, Mapping[int, Mesh]]]) -> bytes:
        """A file for each segment of the group, and the list of them."""
        how, size = self._how, self._how.voxel_nm or (1.0, 1.0, 1.0)
        group = how.region.group_of(parts[0][0])
        listed = []
        for id_, meshes in by_segment(found for _, found in parts):
            name, data = f"{id_}:0:{group}", joined(meshes).to_bytes(size, how.offset_nm)
            storage.write(how.file(name), data)
            listed.append({"segment": id_, "file": name, "sha256": hashlib.sha256(data).hexdigest()})
        types = {"segment": pa.uint64(), "file": pa.string(), "sha256": pa.string()}
        return rows.packed({name: pa.array([one[name] for one in listed], kind) for name, kind in types.items()})


def by_segment(parts: Iterable[Mapping[int, T]]) -> list[tuple[int, list[T]]]:
    """What blocks or groups have of each segment, by rising id."""
    found: dict[int, list[T]] = {}
    for part in parts:
        for id_, one in part.items():
            found.setdefault(id_, []).append(one)
    return sorted(found.items(), key=lambda pair: pair[0])


def above(write: Box, region: Region) -> tuple[Box, Ends]:
    """A write box with one voxel more of each upper neighbour, and at which of its sides the blocks end."""
    size, first = region.grid.size, region.box.begin
    end = tuple(min(e + 1, n) for e, n in zip(write.end, region.grid.shape, strict=True))
    low = [b // s == f // s for b, s, f in zip(write.begin, size, first, strict=True)]
    high = [e >= n for e, n in zip(write.end, region.grid.shape, strict=True)]
    (z, y, x), ends = end, list(zip(low, high, strict=True))
    return Box(write.begin, (z, y, x)), (ends[0], ends[1], ends[2])


def torn(meshing: Meshing, lists: Iterable[str]) -> list[str]:
    """The lists of groups of which a file is gone or is not what it was; lists that are not there are no matter."""

    def is_torn(url: str) -> bool:
        if not storage.exists(url):
            return False
        try:
            listed = rows.read(url)
        except JobFailed:
            return True
        named = zip(listed["file"].to_pylist(), listed["sha256"].to_pylist(), strict=True)
        return not all(is_whole(meshing.file(name), sha256) for name, sha256 in named)

    found = list(lists)
    with ThreadPoolExecutor(_READERS) as pool:
        return [url for url, is_bad in zip(found, pool.map(is_torn, found), strict=True) if is_bad]


def publish(meshing: Meshing, lists: Iterable[str]) -> int:
    """Write which files each segment has, and what the folder is; how many segments there are."""
    files: dict[int, list[str]] = {}
    for listed in map(rows.read, lists):
        for id_, name in zip(listed["segment"].to_pylist(), listed["file"].to_pylist(), strict=True):
            files.setdefault(id_, []).append(name)
    for id_, names in files.items():
        kept(meshing.file(f"{id_}:0"), _json({"fragments": names}))
    kept(meshing.file("info"), _json({"@type": "neuroglancer_legacy_mesh"}))
    return len(files)


def kept(url: str, data: bytes) -> None:
    """Write a file unless it is there as it should be."""
    try:
        if storage.read(url) == data:
            return
    except FileNotFoundError:
        pass
    storage.write(url, data)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"
