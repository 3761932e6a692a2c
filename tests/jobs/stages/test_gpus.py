"""Workers of a stage that asks for GPUs reserve them with Ray, which counts them whether they are there or not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import ray
from dataclasses import dataclass

ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
from jobs.spec import Plain
from jobs.stages import course
from jobs.stages.region import Region
from jobs.stages.stage import Made, Stage
from vision.connectomics.blocks import Box, Grid

@dataclass(frozen=True)
class How:
    workers: int = 2
    retry_s: float = 30.0

class Counting:
    def block(self, block):
        import ray
        return Made(counts={"gpus": len(ray.get_runtime_context().get_accelerator_ids().get("GPU", []))})

grid = Grid((4, 8, 8), (4, 4, 4))
for gpus in (0.5, 0.0):
    stage = Stage("counting", {"gpus": gpus}, Counting, Region(grid, Box((0, 0, 0), (4, 8, 8))), gpus=gpus)
    print(course.carry_out(f"out{gpus}", stage, How(), Plain()).counts)
"""


@pytest.mark.slow
def test_gpus_are_reserved(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(PROGRAM)
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "counting.py"], check=False, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "f" * 64},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split("\n")[-3:-1] == ["{'gpus': 4}", "{'gpus': 0}"]
