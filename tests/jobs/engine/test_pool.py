"""Descriptors spread over workers: all done, whatever dies."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.engine.joining import check_reachable
from jobs.engine.pool import spread
from jobs.spec import JobFailed


@dataclass(frozen=True)
class Doubler:
    """Doubles a number; dies on some, as many times as their file still says."""

    folder: Path

    def make(self) -> Callable[[int], int]:
        return self.work

    def work(self, number: int) -> int:
        left = self.folder / str(number)
        if left.exists():
            times = int(left.read_text())
            if times:
                left.write_text(str(times - 1))
                os._exit(1)
        if number == 13:
            raise ValueError("thirteen is not served")
        return 2 * number


class Teller:
    """Says whether a process that made a column has loaded pandas."""

    def make(self) -> Callable[[int], bool]:
        return self.work

    def work(self, number: int) -> bool:
        pa.array([number])
        return "pandas" in sys.modules


@pytest.mark.parametrize("workers", [0, 2])
def test_every_task_is_done_once(tmp_path: Path, ray_session: None, workers: int) -> None:
    done = dict(spread(range(12), Doubler(tmp_path).make, workers))
    assert done == {n: 2 * n for n in range(12)}


def test_work_of_dead_workers_is_done_again(tmp_path: Path, ray_session: None) -> None:
    for number in (3, 8):
        (tmp_path / str(number)).write_text("1")
    found = list(spread(range(12), Doubler(tmp_path).make, 2))
    assert sorted(found) == [(n, 2 * n) for n in range(12)]


def test_a_task_that_always_kills_fails_the_job(tmp_path: Path, ray_session: None) -> None:
    (tmp_path / "5").write_text("100")
    with pytest.raises(JobFailed, match="5 killed 3 workers"):
        list(spread(range(8), Doubler(tmp_path).make, 2))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_arrives_as_it_was_raised(tmp_path: Path, ray_session: None, workers: int) -> None:
    with pytest.raises(ValueError, match="thirteen is not served"):
        list(spread([1, 13], Doubler(tmp_path).make, workers))


def test_workers_do_not_load_pandas(ray_session: None) -> None:
    assert dict(spread([1], Teller().make, 1)) == {1: False}


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]  # bound, but nobody listens
        for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
            with pytest.raises(JobFailed, match=rf"Ray at {address} cannot be reached: Connection refused"):
                check_reachable(address)
        taken.listen()
        check_reachable(f"127.0.0.1:{port}")
    check_reachable("local")
