"""A segmentation that is killed at random, whole or worker by worker, ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import neurites
from tests.making import tree
from tests.services.test_kills import kill_a_worker, kill_driver
from vision.connectomics.blocks import Box

pytest.importorskip("zarr")
pytest.importorskip("bioimage_cpp")

ROOT = Path(__file__).parents[2]
BOX = Box((0, 0, 0), (96, 128, 128))
PROGRAM = """
import sys
from jobs.segment import Segment
Segment(
    boundaries="{folder}/v.npz#b", truth="{folder}/v.npz#t", output=sys.argv[1], block=(16,), halo=(4,),
    workers=int(sys.argv[2]), thresholds=(0.3, 0.5),
).run()
"""


def start(output: str, workers: int) -> subprocess.Popen[bytes]:
    program = PROGRAM.format(folder=Path.cwd())
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(f"{output}.log", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", program, output, str(workers)],
            stdout=log,
            stderr=log,
            env=env,
            start_new_session=True,
        )


def finish(process: subprocess.Popen[bytes], output: str) -> None:
    assert process.wait(timeout=500) == 0, Path(f"{output}.log").read_text()[-3000:]


def files(output: str) -> int:
    return sum(1 for path in Path(output).rglob("*") if path.is_file()) if Path(output).exists() else 0


def reached(process: subprocess.Popen[bytes], output: str, count: int) -> bool:
    """Wait for so many files; False if the job ended before."""
    deadline = time.monotonic() + 300
    while files(output) < count:
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


@pytest.fixture
def quiet() -> int:
    """An undisturbed run; how many files it left."""
    np.savez("v.npz", b=neurites.boundary(BOX, noise=100), t=neurites.labels(BOX))
    finish(start("quiet", 0), "quiet")
    return files("quiet")


@pytest.mark.slow
def test_twelve_killed_drivers(quiet: int) -> None:
    chance = random.Random(1)
    for moment in sorted(chance.sample(range(5, quiet - 5), 12)):
        process = start("disturbed", 0)
        reached(process, "disturbed", moment)
        time.sleep(chance.uniform(0, 0.05))
        kill_driver(process)
    finish(start("disturbed", 0), "disturbed")
    assert tree("disturbed") == tree("quiet")


@pytest.mark.slow
def test_two_killed_drivers_with_workers(quiet: int) -> None:
    chance = random.Random(2)
    for moment in sorted(chance.sample(range(5, quiet - 5), 2)):
        process = start("disturbed", 2)
        reached(process, "disturbed", moment)
        kill_driver(process)
    finish(start("disturbed", 2), "disturbed")
    assert tree("disturbed") == tree("quiet")


@pytest.mark.slow
def test_six_killed_workers(quiet: int) -> None:
    chance, killed, process = random.Random(3), 0, start("disturbed", 2)
    for moment in sorted(chance.sample(range(20, quiet - 100), 6)):
        if reached(process, "disturbed", moment):
            time.sleep(chance.uniform(0, 0.05))
            killed += kill_a_worker(process, chance) > 0
    finish(process, "disturbed")
    assert killed >= 3, "most kills found a worker at work"
    assert tree("disturbed") == tree("quiet")
