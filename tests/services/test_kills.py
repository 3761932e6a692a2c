"""Work that is killed at a random moment and begun again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

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
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, start_new_session=True
    )


def document(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def kill_once_shards_are_there(process: subprocess.Popen[str], output: str, shards: int) -> None:
    """kill -9 the driver and all it started, once `shards` answers are committed."""
    deadline = time.monotonic() + 120
    while len(list(Path(output).glob("test/*.parquet"))) < shards:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def shows_the_same(corpus: str, model: str, workers: int, kills: list[int]) -> None:
    quiet = document(evaluate(corpus, model, "quiet", workers))
    for shards in kills:
        process = evaluate(corpus, model, "disturbed", workers)
        kill_once_shards_are_there(process, "disturbed", shards)
        assert not json.loads(Path("disturbed/predictions.json").read_text())["complete"]
    again = document(evaluate(corpus, model, "disturbed", workers))
    assert again["metrics"] == quiet["metrics"]
    assert again["groups"] == quiet["groups"]
    assert tree("disturbed") == tree("quiet")


def test_a_killed_driver_is_resumed(make_corpus: CorpusMaker, small_model: str) -> None:
    shows_the_same(make_corpus(rows_of(400), shard_rows=4), small_model, 0, [30])


@pytest.mark.slow
def test_many_kills_with_workers_on_ray(make_corpus: CorpusMaker, small_model: str) -> None:
    moments = sorted(random.Random(5).sample(range(3, 190), 4))
    shows_the_same(make_corpus(rows_of(800), shard_rows=4), small_model, 2, moments)


@pytest.mark.slow
def test_a_killed_worker_is_replaced(make_corpus: CorpusMaker, small_model: str) -> None:
    import psutil

    corpus = make_corpus(rows_of(600), shard_rows=3)
    quiet = document(evaluate(corpus, small_model, "quiet", 0))
    process = evaluate(corpus, small_model, "disturbed", 2)
    deadline = time.monotonic() + 120
    while len(list(Path("disturbed").glob("test/*.parquet"))) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = [p for p in psutil.Process(process.pid).children(recursive=True) if "_Host" in " ".join(p.cmdline())]
    assert workers, "the workers of the pool were found"
    workers[0].kill()
    again = document(process)
    assert again["metrics"] == quiet["metrics"]
    assert tree("disturbed") == tree("quiet")


def test_ctrl_c_ends_in_one_line_and_130(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(400), shard_rows=4)
    process = evaluate(corpus, small_model, "out", 0)
    deadline = time.monotonic() + 120
    while len(list(Path("out").glob("test/*.parquet"))) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "interrupted; what is committed stays" in err.strip().splitlines()[-1]
    document(evaluate(corpus, small_model, "out", 0))
