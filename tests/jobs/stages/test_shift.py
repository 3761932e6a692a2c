"""Workers that serve several stages: made once, gone at the end, and what a stage leaves is the same."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from jobs.spec import JobFailed
from jobs.stages.region import Region
from jobs.stages.runner import Runner
from jobs.stages.shift import Shift
from jobs.stages.stage import Made, Stage
from vision.connectomics.blocks import Block, Box, Grid

REGION = Region(Grid((2, 2, 4), (1, 1, 1)), Box((0, 0, 0), (2, 2, 4)))


@dataclass(frozen=True)
class Noting:
    """Counts each block, and notes in a file who worked on it."""

    folder: str
    broken: int = -1

    def make(self) -> Noting:
        return self

    def block(self, block: Block) -> Made:
        if block.number == self.broken:
            raise ValueError("this one cannot be done")
        return Made(part=os.getpid(), counts={"seen": block.number})

    def seal(self, parts: Sequence[int]) -> bytes:
        Path(self.folder, f"pid-{parts[0]}").touch()
        return b"done"


def runner(name: str, broken: int = -1) -> Runner:
    folder = str(Path(name).absolute())
    Path(folder).mkdir(exist_ok=True)
    return Runner(Stage(name, {"n": name}, Noting(folder, broken).make, REGION, folder=folder, ending=".txt"), folder)


def pids(name: str) -> set[int]:
    return {int(path.name.removeprefix("pid-")) for path in Path(name).glob("pid-*")}


@pytest.mark.parametrize("workers", [0, 2])
def test_one_set_of_workers_serves_all_stages(ray_session: None, workers: int) -> None:
    with Shift(30.0) as shift:
        for name in ("first", "second", "third"):
            found = dict(shift.work(runner(name), range(REGION.groups), workers))
            assert sorted(found) == list(range(16))
            assert [found[group].counts["seen"] for group in range(16)] == list(range(16))
            if name == "second":
                shift.rest()
    first, second, third = map(pids, ("first", "second", "third"))
    if workers == 0:
        assert first == second == third == {os.getpid()}
    else:
        assert os.getpid() not in first and len(first | second) <= 2 and not third & (first | second)
        left = [psutil.Process(pid) for pid in first | third if psutil.pid_exists(pid)]
        assert not psutil.wait_procs(left, timeout=20)[1]


def test_another_number_of_workers_are_others(ray_session: None) -> None:
    with Shift(30.0) as shift:
        for name, workers in (("one", 1), ("two", 2)):
            assert len(list(shift.work(runner(name), range(REGION.groups), workers))) == 16
    assert len(pids("one")) == 1 and not pids("one") & pids("two")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_block_that_fails_ends_the_stage_and_not_the_shift(ray_session: None, workers: int) -> None:
    with Shift(30.0) as shift:
        with pytest.raises(JobFailed, match=r"bad: block 5 .* failed: ValueError: this one cannot be done"):
            list(shift.work(runner("bad", broken=5), range(REGION.groups), workers))
        assert len(list(shift.work(runner("good"), range(REGION.groups), workers))) == 16
