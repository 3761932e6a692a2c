"""Skeletons that people traced, looked up in a volume of ids: only blocks that hold a node are read.

Nodes are few (a traced neuron of a millimetre has some ten thousand), so a driver holds them, and workers answer with
an id for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from jobs import storage
from jobs.engine import joining, pool
from jobs.spec import SpecError
from jobs.volumes.opening import Opened, at
from vision.accumulator import Array, Estimate
from vision.connectomics.blocks import Box, Grid
from vision.connectomics.skeletons import Skeletons, run_lengths
from vision.corpora.volumes import Address

SMALL = 256
"""Blocks that one process reads sooner than Ray starts."""


class How(Protocol):
    """What of a job says how to work, and never what comes out."""

    @property
    def workers(self) -> int | None: ...

    @property
    def retry_s(self) -> float: ...


def read(url: str, unit_nm: float) -> Skeletons:
    """The skeletons in a folder of SWC files, or in one file.

    Args:
        unit_nm: what their coordinates count in.

    Raises:
        SpecError: if there are none, or a line is no node.
    """
    place = storage.absolute(url)
    files = [""] if place.endswith(".swc") else storage.files(place, ".swc")
    if not files:
        raise SpecError(f"skeletons: {place} holds no .swc file")
    try:
        texts = {name or place: storage.read(storage.join(place, name) if name else place).decode() for name in files}
        return Skeletons.of_swc(texts, unit_nm)
    except FileNotFoundError:
        raise SpecError(f"skeletons: {place}: no such file") from None
    except ValueError as error:
        raise SpecError(f"skeletons: {error}") from None


def within(skeletons: Skeletons, volume: Opened, box: Box) -> tuple[Skeletons, Array]:
    """The nodes in a box of a volume, as skeletons that end at its rim, and the voxel (N, 3) of each in the volume.

    Raises:
        SpecError: if the volume does not say how large a voxel is, or no node lies in the box.
    """
    size, offset = volume.volume.voxel_nm, volume.volume.offset_nm
    if size is None:
        raise SpecError(f"skeletons: {volume.address} does not say how large a voxel is, so nodes have no place in it")
    rows, voxel = skeletons.within(box, size, offset)
    if not len(rows):
        raise SpecError("skeletons: no node lies in the volume: is the unit right (--skeleton-nm)?")
    place = np.full(len(skeletons) + 1, -1, np.int64)
    place[rows] = np.arange(len(rows))
    kept = Skeletons(
        skeletons.names, skeletons.skeleton[rows], skeletons.position_nm[rows], place[skeletons.parent[rows]]
    )
    return kept, voxel + np.array(box.begin)


def sampled(volume: Address, voxels: Array, grid: Grid, how: How) -> Array:
    """(N,) uint64 ids of a volume at voxels (N, 3)."""
    index = voxels // np.array(grid.size)
    numbers = (index[:, 0] * grid.counts[1] + index[:, 1]) * grid.counts[2] + index[:, 2]
    order = np.argsort(numbers, kind="stable")
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    tasks = [Nodes(tuple(rows.tolist()), voxels[rows]) for rows in np.split(order, cuts)]
    workers = min(joining.workers_for(how.workers, len(tasks), SMALL), len(tasks))
    found = np.zeros(len(voxels), np.uint64)
    for task, ids in pool.spread(tasks, Looking(volume).make, workers, retry_s=how.retry_s):
        found[list(task.rows)] = ids
    return found


def scores(skeletons: Skeletons, segments: Array) -> Mapping[str, Estimate]:
    """Run lengths and errors along skeletons, with 95 % limits over them where there are any."""
    found, count = run_lengths(skeletons, segments), len(skeletons.names)
    plain = {
        "erl_share": found.share, "skeleton_split_edges": found.split_edges,
        "skeleton_missed_nodes": found.missed_nodes, "skeleton_mergers": found.mergers,
    }  # fmt: skip
    return {
        "erl_nm": found.erl_nm,
        **{name: Estimate(float(value), np.nan, np.nan, count) for name, value in plain.items()},
    }


class Nodes(NamedTuple):
    """Nodes of one block: their rows and voxels (N, 3)."""

    rows: tuple[int, ...]
    voxels: Array


@dataclass(frozen=True)
class Looking:
    """Looks nodes up; picklable."""

    volume: Address

    def make(self) -> Looker:
        """What works, where it lives."""
        return Looker(at(self.volume, "predictions", labels=True))


class Looker:
    """Looks nodes up in a volume."""

    def __init__(self, volume: Opened) -> None:
        self._volume = volume

    def __call__(self, task: Nodes) -> Array:
        z0, y0, x0 = task.voxels.min(axis=0).tolist()
        z1, y1, x1 = (task.voxels.max(axis=0) + 1).tolist()
        found = self._volume.read(Box((z0, y0, x0), (z1, y1, x1)))
        z, y, x = (task.voxels - np.array((z0, y0, x0))).T
        return np.asarray(found[z, y, x], np.uint64)
