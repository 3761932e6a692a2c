"""Skeletons traced by people, and how far one can follow them before an error: expected run length.

A skeleton is a tree of nodes. An edge between two nodes is right if both lie in one segment, which lies on no other
skeleton. The lengths of right edges, added up by skeleton and segment, are the runs; the expected run length is the
length of the run on which a random point of all skeletons lies: sum(run^2) / sum(length). One merger of two long
neurons costs both of them, as it should. Nodes are few, so a segmentation is only sampled there: block by block, and
once for all thresholds, through lookup tables of fragments.

Reference: Januszewski et al., "High-precision automated reconstruction of neurons with flood-filling networks", Nature
Methods 2018; SWC after Cannon et al. 1998.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vision.accumulator import Array, Estimate
from vision.connectomics.blocks import Box
from vision.connectomics.estimates import Scored
from vision.connectomics.grouped import by_pair


@dataclass(frozen=True, eq=False)
class Skeletons:
    """Nodes of all skeletons.

    Args:
        names: of the skeletons.
        skeleton: (N,) int64 place in `names`.
        position_nm: (N, 3) float64, (z, y, x).
        parent: (N,) int64 row of the node before, -1 at a root.
    """

    names: tuple[str, ...]
    skeleton: Array
    position_nm: Array
    parent: Array

    def __len__(self) -> int:
        return len(self.skeleton)

    @classmethod
    def of_swc(cls, texts: Mapping[str, str], unit_nm: float = 1.0) -> Skeletons:
        """From SWC files by name, in the order of the names; `unit_nm` is what their coordinates count in.

        Raises:
            ValueError: if a line is no node, an id comes twice or a parent is missing; it names file and line.
        """
        names = tuple(sorted(texts))
        skeleton: list[int] = []
        position: list[tuple[float, float, float]] = []
        parent: list[int] = []
        for place, name in enumerate(names):
            nodes, before = _swc(texts[name], name)
            parent += [-1 if row < 0 else row + len(skeleton) for row in before]
            skeleton += [place] * len(nodes)
            position += nodes
        where = np.array(position, np.float64).reshape(-1, 3)[:, ::-1] * unit_nm  # xyz to zyx
        return cls(names, np.array(skeleton, np.int64), where, np.array(parent, np.int64))

    def edges(self) -> tuple[Array, Array]:
        """(E, 2) int64 node and parent, and (E,) lengths in nm."""
        child = np.flatnonzero(self.parent >= 0)
        pairs = np.stack([child, self.parent[child]], axis=1)
        return pairs, np.linalg.norm(self.position_nm[pairs[:, 0]] - self.position_nm[pairs[:, 1]], axis=1)

    def within(
        self, box: Box, voxel_nm: tuple[float, float, float], offset_nm: tuple[float, float, float] = (0, 0, 0)
    ) -> tuple[Array, Array]:
        """Rows of the nodes in a box of a volume, rising, and their voxels (N, 3) in the box.

        Args:
            voxel_nm, offset_nm: size of a voxel, and where the volume's first voxel begins.
        """
        voxel = np.floor((self.position_nm - np.array(offset_nm)) / np.array(voxel_nm)).astype(np.int64)
        rows = np.flatnonzero(((voxel >= box.begin) & (voxel < box.end)).all(axis=1))
        return rows, voxel[rows] - box.begin


class RunLengths(NamedTuple):
    """What skeletons say about a segmentation.

    `erl_nm` has 95 % limits over skeletons; `best_nm` is what a perfect segmentation would reach; `share` their ratio.
    `split_edges` join two segments, `missed_nodes` lie in none. `mergers` counts segments on several skeletons,
    `merged` the skeletons beyond the first of each.
    """

    erl_nm: Estimate
    best_nm: float
    share: float
    length_nm: float
    split_edges: int
    missed_nodes: int
    mergers: int
    merged: int


def run_lengths(skeletons: Skeletons, segments: Array, least_nodes: int = 1) -> RunLengths:
    """Score segments (N,) at the nodes of skeletons, 0 = none.

    Args:
        least_nodes: nodes of a skeleton that a segment must hold to count as being on it, for mergers.

    Raises:
        ValueError: if there is not one segment a node.
    """
    if np.shape(segments) != (len(skeletons),):
        raise ValueError(f"segments must be one a node, ({len(skeletons)},), got {np.shape(segments)}")
    segments = np.asarray(segments, np.uint64)
    (pairs, lengths), mergers, merged = skeletons.edges(), *_mergers(skeletons.skeleton, segments, least_nodes)
    first, second = segments[pairs[:, 0]], segments[pairs[:, 1]]
    right = (first == second) & (first != 0) & ~np.isin(first, mergers)
    owner = skeletons.skeleton[pairs[:, 0]]
    runs = by_pair(owner[right], first[right])
    squares = np.bincount(runs.first.astype(np.int64), runs.sums(lengths[right]) ** 2, len(skeletons.names))
    whole = np.bincount(owner, lengths, len(skeletons.names))
    erl, best = Scored.ratio(squares, whole).estimate(), Scored.ratio(whole**2, whole).value
    return RunLengths(
        erl, best, erl.value / best if best else float("nan"), float(whole.sum()),
        int(((first != second) & (first != 0) & (second != 0)).sum()), int((segments == 0).sum()), len(mergers), merged,
    )  # fmt: skip


def _mergers(skeleton: Array, segments: Array, least_nodes: int) -> tuple[Array, int]:
    """Segments on more than one skeleton, and how many skeletons too many they are on."""
    on = segments != 0
    groups = by_pair(segments[on], skeleton[on].astype(np.uint64))
    found, times = np.unique(groups.first[groups.sizes() >= least_nodes], return_counts=True)
    return found[times > 1], int((times[times > 1] - 1).sum())


def _swc(text: str, name: str) -> tuple[list[tuple[float, float, float]], list[int]]:
    """Positions (x, y, z) and parent rows of one file."""
    positions: list[tuple[float, float, float]] = []
    rows: dict[int, int] = {}
    parents: list[int] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split("#")[0].split()
        if not fields:
            continue
        try:
            node, x, y, z, before = int(fields[0]), *map(float, fields[2:5]), int(fields[6])
        except (ValueError, IndexError):
            raise ValueError(f"{name}, line {number}: a node of an SWC file has 7 numbers, got {line!r}") from None
        if node in rows:
            raise ValueError(f"{name}, line {number}: node {node} comes twice")
        rows[node] = len(positions)
        positions.append((x, y, z))
        parents.append(before)
        lines.append(number)
    for number, before in zip(lines, parents, strict=True):
        if before >= 0 and before not in rows:
            raise ValueError(f"{name}, line {number}: there is no node {before} to be its parent")
    return positions, [rows.get(before, -1) for before in parents]
