"""Work that is killed at a random moment and begun again ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.making import CorpusMaker, rows_of, tree

ROOT = Path(__file__).parents[2]


def evaluate(corpus: str, model: str, output: str, workers: int) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "cluster.cli", "run", "evaluate", "--corpus", corpus, "--model", model,
        "--output", output, "--workers", str(workers), "--by", "sex,label", "--order", "2", "--format", "json",
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True,
    )  # fmt: skip


def document(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def wait_for_shards(process: subprocess.Popen[str], output: str, shards: int) -> bool:
    """Until so many answers are committed; False if the job ended before."""
    deadline = time.monotonic() + 180
    while len(list(Path(output).glob("test/*.parquet"))) < shards:
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return True


def kill_driver(process: subprocess.Popen[str]) -> None:
    """kill -9 the driver and all it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kill_a_worker(process: subprocess.Popen[str], chance: random.Random) -> int:
    """kill -9 one worker of the pool; how many there were to choose from."""
    workers = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "_Host" in " ".join(child.cmdline()):
                workers.append(child)
    if workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(workers).kill()
    return len(workers)


def killed_drivers(corpus: str, model: str, workers: int, kills: int, seed: int) -> None:
    """Kill the driver at seeded moments, each a little further on, then let it finish and compare."""
    chance = random.Random(seed)
    shards = len(list(Path(corpus).glob("test/*.parquet")))
    quiet = document(evaluate(corpus, model, "quiet", workers))
    for moment in sorted(chance.sample(range(1, shards - 1), kills)):
        process = evaluate(corpus, model, "disturbed", workers)
        wait_for_shards(process, "disturbed", moment)
        time.sleep(chance.uniform(0, 0.03))
        kill_driver(process)
    same_as_quiet(quiet, document(evaluate(corpus, model, "disturbed", workers)))


def same_as_quiet(quiet: dict[str, object], again: dict[str, object]) -> None:
    assert again["metrics"] == quiet["metrics"]
    assert again["groups"] == quiet["groups"]
    assert tree("disturbed") == tree("quiet")
    rows = [id_ for path in Path("disturbed").rglob("*.parquet") for id_ in pq.read_table(path)["id"].to_pylist()]
    assert len(rows) == len(set(rows)), "no row is doubled"


def test_five_killed_drivers(make_corpus: CorpusMaker, small_model: str) -> None:
    killed_drivers(make_corpus(rows_of(400), shard_rows=4), small_model, 0, kills=5, seed=1)


@pytest.mark.slow
def test_thirty_killed_drivers(make_corpus: CorpusMaker, small_model: str) -> None:
    killed_drivers(make_corpus(rows_of(800), shard_rows=4), small_model, 0, kills=30, seed=2)


@pytest.mark.slow
def test_four_killed_drivers_with_workers_on_ray(make_corpus: CorpusMaker, small_model: str) -> None:
    killed_drivers(make_corpus(rows_of(800), shard_rows=4), small_model, 2, kills=4, seed=3)


@pytest.mark.slow
def test_twenty_killed_workers(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus, chance = make_corpus(rows_of(1500), shard_rows=5), random.Random(4)
    quiet = document(evaluate(corpus, small_model, "quiet", 0))
    killed, process = 0, evaluate(corpus, small_model, "disturbed", 2)
    for moment in sorted(chance.sample(range(5, 290), 20)):
        if wait_for_shards(process, "disturbed", moment):
            time.sleep(chance.uniform(0, 0.05))
            killed += kill_a_worker(process, chance) > 0
    assert killed >= 10, "most kills found a worker at work"
    same_as_quiet(quiet, document(process))


def test_ctrl_c_ends_in_one_line_and_130(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(400), shard_rows=4)
    process = evaluate(corpus, small_model, "out", 0)
    assert wait_for_shards(process, "out", 5), process.communicate()[1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted; what is committed stays" in err.strip().splitlines()[-1]
    document(evaluate(corpus, small_model, "out", 0))
