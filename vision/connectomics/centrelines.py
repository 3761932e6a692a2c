"""Centrelines of segments: trees of voxels along their middles, block by block, joined into those of the whole.

TEASAR follows the way from a root to the farthest voxel, near the middle, takes out what lies around that way, and goes
on until nothing is left. In blocks, neighbours share a plane of voxels; on it each patch of a segment has one voxel,
chosen by the patch alone, that the trees of both blocks must reach. So trees meet, and pieces that hang together in the
volume do so in the joined tree, whatever the blocks. Joined trees are thinned by the rule that made them; then their
length is that of the trees of the whole: within 1 % for blocks of 64 voxels and neurites 10 across, and up to 8 % less
for blocks of 16. A tube's is its own within 3 %.

Nodes are about one a voxel of length: a neuron of 1 mm at 10 nm has 10^5.

References: Sato, Bitter, Bender, Kaufman & Nakajima, "TEASAR: tree-structure extraction algorithm for accurate and
robust skeletons", Pacific Graphics 2000; Silversmith et al., kimimaro, 2021 (voxels on shared planes); SWC after Cannon
et al. 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import AXES, Zyx
from vision.connectomics.installed import library
from vision.connectomics.pruning import thinned
from vision.connectomics.surfaces import Ends, nanometres
from vision.corpora.volumes import Lengths
from vision.sets import smallest

SCALE, REACH, THINNED = 1.5, 3.0, 5.0
"""What lies within SCALE times the distance to the surface, and REACH times a voxel's shortest side, of a way has its
centreline: twigs that are shorter are bumps. THINNED stands for REACH when blocks have been joined."""

_PULLS, _INSIDE = 20, 0.45


class Tree(NamedTuple):
    """Centrelines of a segment, one tree for each piece that hangs together.

    `nodes` are (N, 3) places in the volume, z, y, x, whole numbers being the middles of voxels: int64 until the tree is
    finished, then float64. `links` are (E, 2) pairs of their rows; `radius` (N,) float32 nm from the surface.
    """

    nodes: Array
    links: Array
    radius: Array

    def length_nm(self, voxel_nm: Lengths) -> float:
        """Length of all links."""
        ends = self.nodes[self.links.astype(np.int64)] * np.array(voxel_nm)
        return float(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1).sum())

    def to_swc(self, voxel_nm: Lengths, offset_nm: Lengths) -> str:
        """SWC text, x, y, z and radius in nm; parents come before their children."""
        order, parent = self._walked()
        lines = ["# nm"]
        places = nanometres(self.nodes[order], voxel_nm, offset_nm)[:, ::-1].tolist()
        for number, (place, radius, above) in enumerate(
            zip(places, self.radius[order].tolist(), parent, strict=True), 1
        ):
            x, y, z = (f"{value:.3f}" for value in place)
            lines.append(f"{number} 0 {x} {y} {z} {radius:.3f} {above}")
        return "\n".join(lines) + "\n"

    def to_bytes(self, voxel_nm: Lengths, offset_nm: Lengths) -> bytes:
        """A file of neuroglancer's precomputed skeletons, with the attribute `radius`.

        How many nodes and links (uint32), x, y, z in nm (float32), pairs of rows (uint32), radii (float32), all
        little-endian.
        """
        places = nanometres(self.nodes, voxel_nm, offset_nm)[:, ::-1]
        parts = [
            np.array([len(self.nodes), len(self.links)], "<u4"), places.astype("<f4"), self.links.astype("<u4"),
            self.radius.astype("<f4"),
        ]  # fmt: skip
        return b"".join(part.tobytes() for part in parts)

    def _walked(self) -> tuple[Array, list[int]]:
        """Rows of nodes, each tree from its first node outward, and the number (from 1) of each one's parent, or -1."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import breadth_first_order

        count, links = len(self.nodes), self.links.astype(np.int64)
        # A node more, tied to one node of each tree, makes one tree of all.
        roots = np.unique(smallest(count, links))
        ends = np.concatenate([links, np.stack([np.full(len(roots), count), roots], axis=1)])
        graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), (count + 1, count + 1)).tocsr()
        order, before = breadth_first_order(graph, count, directed=False)
        number = np.empty(count + 1, np.int64)
        number[order] = np.arange(count + 1)
        parents = before[order[1:]]
        return order[1:], np.where(parents == count, -1, number[parents]).tolist()


def centrelines(labels: Array, origin: Zyx, ends: Ends, voxel_nm: Lengths) -> dict[int, Tree]:
    """Centrelines of each segment of a block.

    Args:
        labels: (Z, Y, X) unsigned, 0 = none: what a block writes, and one voxel more of each upper neighbour.
        origin: the first voxel's place in the volume.
        ends: where the volume ends at the block's sides; the others are shared with a neighbour.
    """
    blockwise = library("bioimage_cpp").skeleton.distributed
    faces = [
        (axis, side)
        for axis in range(len(AXES))
        for side, is_end in zip(("low", "high"), ends[axis], strict=True)
        if not is_end
    ]
    targets = blockwise.block_border_targets_labels(labels, faces, origin=origin, spacing=voxel_nm)
    found = blockwise.block_teasar_labels(
        labels, open_faces=faces, origin=origin, required_targets=targets, spacing=voxel_nm, scale=SCALE,
        constant=REACH * min(voxel_nm),
    )  # fmt: skip
    return {int(id_): Tree(*tree) for id_, tree in found.items()}


def joined(parts: Sequence[Tree]) -> Tree:
    """Parts of one segment together: nodes at one voxel are one. The order of parts does not show."""
    return Tree(*library("bioimage_cpp").skeleton.distributed.merge_block_skeletons(list(parts)))


def finished(tree: Tree, voxel_nm: Lengths) -> Tree:
    """The trees of all blocks together without loops, spurs to shared planes, and second ways beside a first."""
    links = tree.links.astype(np.int64)
    kept = thinned(tree.nodes * np.array(voxel_nm), links, tree.radius, SCALE, THINNED * min(voxel_nm))
    ends = np.sort(np.searchsorted(kept.nodes, kept.links), axis=1)
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    return Tree(_straightened(tree.nodes[kept.nodes], ends), ends, tree.radius[kept.nodes])


def _straightened(nodes: Array, links: Array) -> Array:
    """Places (N, 3) of nodes in ways without steps, which make a slanting way up to 8 % too long.

    Nodes with two neighbours are pulled to the middle between them, and none leaves its voxel.
    """
    places, count = nodes.astype(np.float64), np.bincount(links.reshape(-1), minlength=len(nodes))
    inner = count == 2
    for _ in range(_PULLS):
        sums = np.zeros_like(places)
        for a, b in ((0, 1), (1, 0)):
            np.add.at(sums, links[:, a], places[links[:, b]])
        pulled = places[inner] / 2 + sums[inner] / 4
        places[inner] = np.clip(pulled, nodes[inner] - _INSIDE, nodes[inner] + _INSIDE)
    return places
