"""What work on a volume would cost: blocks, bytes, disk, memory and core-hours, from one block done on trial.

The trial is the block in the middle. Where that is blank, or the volume has no voxels yet (its metadata alone are
enough to plan a petabyte), hours follow from speeds that were measured before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jobs.probing import size_text
from jobs.stages.stage import Stage
from vision.accumulator import Array
from vision.corpora.volumes import Volume

PYTHON_BYTES = 200 * 2**20
"""A worker before its first block: Python, Ray, numpy, Arrow, zarr, scipy and bioimage-cpp; measured."""

_UNKNOWN = 5.0
"""Mvox a core-second of a stage that nobody has measured."""


@dataclass(frozen=True)
class Pace:
    """What a stage does with a voxel.

    Attributes:
        seconds: of one core.
        bytes_out: what it leaves.
        measured: here, or before on another volume.
        counts: what it counted, a voxel; empty where it was not measured here.
    """

    seconds: float
    bytes_out: float
    measured: bool = True
    counts: Mapping[str, float] = field(default_factory=dict)


def probe(stage: Stage, usual: Pace | None = None) -> Pace:
    """The pace of a stage, from its middle block, which is worked on and thrown away."""
    region = stage.region
    block = region.grid.block(region.number(len(region) // 2))
    work = stage.make()
    started = time.process_time()
    made = work.block(block)
    seconds = time.process_time() - started
    values = made.values
    if values is None or not values.any():
        return usual or Pace(1e-6 / _UNKNOWN, np.dtype(stage.target.dtype).itemsize if stage.target else 8.0, False)
    counts = {name: count / block.write.voxels for name, count in made.counts.items()}
    return Pace(max(seconds, 1e-9) / block.write.voxels, _packed(values), counts=counts)


def _packed(values: Array) -> float:
    """Bytes a voxel on disk, by a codec that is always there; zarr's own packs about as well."""
    import zlib

    flat = np.ascontiguousarray(values).reshape(-1).view(np.uint8)[: 1 << 22]
    return len(zlib.compress(flat.tobytes(), 1)) / len(flat) * values.dtype.itemsize


def of_stages(stages: Sequence[tuple[Stage, Pace]], volume: Volume, workers: int | None) -> Mapping[str, str]:
    """The facts that `--dry-run` prints."""
    region = stages[0][0].region
    voxels = region.box.voxels
    hours = sum(pace.seconds for _, pace in stages) * voxels / 3600
    disk = sum(pace.bytes_out for _, pace in stages) * voxels
    raw = sum(np.dtype(stage.target.dtype).itemsize for stage, _ in stages if stage.target) * voxels
    memory = PYTHON_BYTES + max(stage.memory for stage, _ in stages)
    count = max(workers if workers is not None else os.cpu_count() or 1, 1)
    known = [stage.name for stage, pace in stages if not pace.measured]
    source = f" ({', '.join(known)}: by speeds measured before, not on this volume)" if known else ""
    return {
        "voxels": f"{voxels:,} of {volume.voxels:,}",
        "blocks": f"{len(region):,} of {' x '.join(map(str, region.grid.size))} in {region.groups:,} groups",
        "bytes to read": f"about {size_text(_read(region_read(stages), voxels, volume))}",
        "peak disk": f"about {size_text(disk)}; at most {size_text(raw)} where nothing compresses",
        "memory": f"about {size_text(memory)} a worker, whatever the size of the volume",
        "core-hours": f"about {hours:,.2f}{source}",
        "hours": f"about {hours / count:,.2f} with {count} workers",
    }


def region_read(stages: Sequence[tuple[Stage, Pace]]) -> float:
    """Voxels read for each voxel written, over all stages."""
    total = 0.0
    for stage, _ in stages:
        grid = stage.region.grid
        grown = np.prod([s + 2 * h for s, h in zip(grid.size, grid.halo, strict=True)])
        total += float(grown) / grid.voxels_per_block
    return total


def _read(factor: float, voxels: int, volume: Volume) -> float:
    return factor * voxels * max(volume.channels, 1) * np.dtype(volume.dtype).itemsize
