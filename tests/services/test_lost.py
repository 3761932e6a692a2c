"""A cluster that loses a node, its head, or does not know us: the work ends whole, or in one line that says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.making import CorpusMaker, rows_of, tree
from tests.services.ray_cluster import RayCluster

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    """One of this test's own, which it may break."""
    found = RayCluster(cpus=1)
    yield found
    found.stop()


def predict(corpus: str, model: str, output: str, surrounds: Mapping[str, str], *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable, "-m", "cluster.cli", "run", "predict", "--corpus", corpus, "--model", model,
        "--output", output, "--format", "json", *more,
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT), **surrounds}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def wait_for_shards(output: str, shards: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 180
    while len(list(Path(output).glob("test/*.parquet"))) < shards:
        assert process.poll() is None, "the job ended before its cluster was harmed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_lost_node_costs_time_and_nothing_else(
    cluster: RayCluster, make_corpus: CorpusMaker, small_model: str
) -> None:
    corpus = make_corpus(rows_of(3000), shard_rows=10)
    quiet = predict(corpus, small_model, "quiet", {}, "--workers", "0")
    assert quiet.wait(timeout=120) == 0
    node = cluster.add_node(cpus=1)
    process = predict(corpus, small_model, "disturbed", cluster.driver_environment, "--workers", "2")
    wait_for_shards("disturbed", 20, process)
    cluster.kill_node(node)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads(out)["errors"] == 0
    assert tree("disturbed") == tree("quiet")


@pytest.mark.slow
def test_a_lost_head_is_one_line_and_the_same_command_goes_on(
    cluster: RayCluster, make_corpus: CorpusMaker, small_model: str
) -> None:
    corpus = make_corpus(rows_of(3000), shard_rows=10)
    process = predict(corpus, small_model, "out", cluster.driver_environment, "--workers", "1", "--retry-s", "5")
    wait_for_shards("out", 20, process)
    cluster.kill_head()
    killed = time.monotonic()
    out, err = process.communicate(timeout=120)
    assert time.monotonic() - killed < 45
    assert process.returncode == 1
    assert out == ""
    last = err.strip().splitlines()[-1]
    assert last.startswith("safelight: Ray at ")
    assert f":{cluster.gcs_port} cannot be reached" in last
    assert "run the same command again" in last
    done = len(list(Path("out").glob("test/*.parquet")))
    again = predict(corpus, small_model, "out", {}, "--workers", "0")
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0
    assert f"{done} of 300 shards are answered already" in err


@pytest.mark.slow
def test_a_cluster_that_is_full_or_does_not_know_us(
    cluster: RayCluster, make_corpus: CorpusMaker, small_model: str
) -> None:
    """More workers than CPUs: the one that finds room does it all. A wrong token: one line within 30 s."""
    corpus = make_corpus(rows_of(40))
    full = predict(corpus, small_model, "out", cluster.driver_environment, "--workers", "3")
    start = time.monotonic()
    wrong = {**cluster.driver_environment, "RAY_AUTH_TOKEN": "f" * 64}
    refused = predict(corpus, small_model, "other", wrong, "--workers", "1")
    _, err = refused.communicate(timeout=120)
    assert refused.returncode == 1
    assert "does not know this token" in err.strip().splitlines()[-1]
    assert time.monotonic() - start < 30
    _, err = full.communicate(timeout=120)
    assert full.returncode == 0, err
