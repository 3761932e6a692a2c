"""What a worker needs does not grow with the volume: memory by the block, and time by the voxel."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.segment import Segment
from jobs.spec import Plain
from tests import neurites
from vision.connectomics.blocks import Grid

pytest.importorskip("bioimage_cpp")
zarr = pytest.importorskip("zarr")

ROOT = Path(__file__).parents[2]
LIMIT_MB = 256
PROGRAM = """
import resource, sys
# No more may be asked of the system, used or not: stacks of threads and reserves of libraries too.
resource.setrlimit(resource.RLIMIT_DATA, (640 * 2**20,) * 2)
from jobs import arrow
from tests.jobs.test_segment_scale import segment
arrow.without_pandas()  # as every worker does
segment("{volume}", "{output}", from_stage="{stage}", to_stage="{stage}").run()
# Not ru_maxrss, which is that of the parent where that is larger.
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024)
"""
NEAREST = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))
OFFSETS = (
    *NEAREST,
    *((-n, 0, 0) for n in (2, 3, 4)),
    *((0, -n, 0) for n in (9, 18, 27)),
    *((0, 0, -n) for n in (9, 18, 27)),
)


def affinities(place: str, side: int) -> int:
    """Twelve channels of float32 affinities, all alike and so one file under twelve names; how many bytes they are."""
    shape = (side, side, side)
    array = zarr.create_array(
        place, shape=(12, *shape), dtype="float32", chunks=(1, 32, 32, 32), shards=(1, 128, 128, 128)
    )
    for block in Grid(shape, (128, 128, 128)):
        array[(0, *block.write.slices)] = 1 - neurites.boundary(block.write, noise=100).astype(np.float32) / 255
    for shard in Path(place, "c", "0").rglob("*"):
        if shard.is_file():
            for channel in range(1, 12):
                other = Path(place, "c", str(channel), shard.relative_to(Path(place, "c", "0")))
                other.parent.mkdir(parents=True, exist_ok=True)
                os.link(shard, other)
    return int(array.nbytes)


def segment(volume: str, output: str, **more: Any) -> Segment:
    """Blocks of 64^3 with a halo of 8."""
    offsets = ";".join(",".join(map(str, offset)) for offset in OFFSETS)
    return Segment(
        affinities=volume, offsets=offsets, output=output, block=(64,), halo=(8,), workers=0, thresholds=(0.5,),
        method="threshold", **more,
    )  # fmt: skip


def peak_mb(volume: str, output: str, stage: str) -> float:
    """Peak memory of a process that does one stage."""
    program = PROGRAM.format(volume=volume, output=output, stage=stage)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_volume_twenty_times_the_memory_of_a_worker() -> None:
    """5 GB of affinities, by stages of at most 256 MB; small and large need the same, and no more than was said."""
    assert affinities("large.zarr", 484) >= 20 * LIMIT_MB * 2**20
    affinities("small.zarr", 192)
    stages = ("fragments", "edges", "agglomerate", "relabel")
    small, large = ({s: peak_mb(f"{size}.zarr", f"{size}-out", s) for s in stages} for size in ("small", "large"))
    said = segment("large.zarr", "said").estimate(Plain())
    worker, driver = (mb(said[name]) for name in ("memory", "driver memory"))
    print(f"peak MB of stages on 27 blocks {small}, on 512 blocks {large}; said: {worker:.0f}, driver {driver:.0f}")
    for stage in stages:
        assert large[stage] < LIMIT_MB, f"{stage} took {large[stage]:.0f} MB"
        if stage != "agglomerate":  # which holds some bytes a fragment
            assert large[stage] < small[stage] + 25, f"{stage} grew from {small[stage]:.0f} to {large[stage]:.0f} MB"
    most = max(large[stage] for stage in stages if stage != "agglomerate")
    assert most <= worker <= 2 * most and large["agglomerate"] <= driver <= 2 * large["agglomerate"]


def mb(text: str) -> float:
    """The size in a line of a dry run."""
    found = re.match(r"about ([\d,.]+) MiB", text)
    assert found, text
    return float(found[1].replace(",", ""))


def speed(side: int, output: str) -> float:
    """Mvox a CPU second of all stages but agglomeration, in blocks of 32^3."""
    place = f"{side}.zarr"
    if not Path(place).exists():
        array = zarr.create_array(place, shape=(side,) * 3, dtype="uint8", chunks=(64, 64, 64))
        for block in Grid((side,) * 3, (64, 64, 64)):
            array[block.write.slices] = neurites.boundary(block.write)
    seconds = 0.0
    for first, last in (("fragments", "edges"), ("agglomerate", "agglomerate"), ("relabel", "relabel")):
        job = Segment(
            boundaries=place, output=output, block=(32,), halo=(8,), workers=0, thresholds=(0.5,), method="threshold",
            **{"from": first, "to": last},
        )  # fmt: skip
        started = time.process_time()
        job.run()
        seconds += (time.process_time() - started) * (first != "agglomerate")
    return side**3 / 1e6 / seconds


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_speed_does_not_fall_from_64_to_4096_blocks() -> None:
    speed(128, "warm")
    few = max(speed(128, f"few-{n}") for n in range(3))
    many = speed(512, "many")
    print(f"64 blocks {few:.2f} Mvox a CPU second, 4,096 blocks {many:.2f}")
    assert many > 0.85 * few
