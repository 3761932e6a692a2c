"""The stage of centrelines: trees of blocks, a file for each group; then joined, an SWC file for each segment.

OUT/skeletons/T/ID.swc in nm, and OUT/precomputed/T/skeletons/ID for neuroglancer. Joining holds all nodes at once,
some 50 bytes each, so 10^9 of them on a machine of 64 GB. A millimetre cubed at 10 nm has about 4 km of neurites, that
is 4 x 10^11 nodes, and wants joining by parts of its segments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.segmenting import rows
from jobs.segmenting.meshes import above, by_segment, kept
from jobs.stages.region import Region
from jobs.stages.stage import Made
from jobs.volumes.opening import at
from vision.connectomics.blocks import Block
from vision.connectomics.centrelines import Tree, centrelines, finished, joined
from vision.corpora.volumes import Address, Lengths

BYTES_A_VOXEL = 80
"""Memory for each voxel of a block: ids, distances and the ways from the root."""

FOLDER = "skeletons"
ABOUT = {
    "@type": "neuroglancer_skeletons",
    "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
    "vertex_attributes": [{"id": "radius", "data_type": "float32", "num_components": 1}],
}


@dataclass(frozen=True)
class Tracing:
    """What centrelines are made of; picklable.

    Attributes:
        labels: the segmentation.
        region: the blocks.
        voxel_nm, offset_nm: as in `vision.corpora.volumes.Volume`.
    """

    labels: Address
    region: Region
    voxel_nm: Lengths | None
    offset_nm: Lengths

    @property
    def size_nm(self) -> Lengths:
        return self.voxel_nm or (1.0, 1.0, 1.0)

    def make(self) -> Tracer:
        """What works, where it lives."""
        return Tracer(self)


class Tracer:
    """Makes the centrelines of blocks."""

    def __init__(self, how: Tracing) -> None:
        self._how, self._labels = how, at(how.labels, "labels", labels=True)

    def block(self, block: Block) -> Made:
        box, ends = above(block.write, self._how.region)
        labels = self._labels.read(box)
        if not labels.any():
            return Made(part={}, counts={"blank_blocks": 1})
        found = centrelines(labels, box.begin, ends, self._how.size_nm)
        return Made(part=found, counts={"nodes": sum(len(tree.nodes) for tree in found.values())})

    def seal(self, parts: Sequence[Mapping[int, Tree]]) -> bytes:
        named = {id_: joined(trees) for id_, trees in by_segment(parts)}
        trees = list(named.values())
        lists: dict[str, tuple[Any, list[Any]]] = {
            "nodes": (pa.int64(), [tree.nodes.reshape(-1) for tree in trees]),
            "links": (pa.int64(), [tree.links.reshape(-1).astype(np.int64) for tree in trees]),
            "radius": (pa.float32(), [tree.radius for tree in trees]),
        }
        columns = {name: pa.array(values, pa.list_(kind)) for name, (kind, values) in lists.items()}
        return rows.packed({"segment": pa.array(list(named), pa.uint64()), **columns})


def publish(how: Tracing, lists: Iterable[str], swc: str, precomputed: str) -> int:
    """Join the trees of all groups and write them; how many segments there are.

    Args:
        lists: URLs of the groups' files.
        swc: URL of the folder of SWC files.
        precomputed: URL of the precomputed volume.
    """
    found, place = by_segment(map(_read, lists)), storage.join(precomputed, FOLDER)
    for id_, trees in found:
        tree = finished(joined(trees), how.size_nm)
        kept(storage.join(swc, f"{id_}.swc"), tree.to_swc(how.size_nm, how.offset_nm).encode())
        kept(storage.join(place, str(id_)), tree.to_bytes(how.size_nm, how.offset_nm))
    kept(storage.join(place, "info"), json.dumps(ABOUT).encode() + b"\n")
    return len(found)


def _read(url: str) -> dict[int, Tree]:
    """The trees in a group's file."""
    found = rows.read(url)
    trees = {}
    for row in range(found.num_rows):
        nodes, links, radius = (
            found[name][row].values.to_numpy(zero_copy_only=False) for name in ("nodes", "links", "radius")
        )
        trees[int(found["segment"][row].as_py())] = Tree(nodes.reshape(-1, 3), links.reshape(-1, 2), radius)
    return trees
