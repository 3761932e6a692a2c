"""Jobs on a real cluster: one name is one job, its code comes back, what dies is begun again, no key is seen."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.making import CorpusMaker, rows_of, tree
from tests.services.conftest import KEYS, S3Server, free_ports
from tests.services.ray_cluster import RayCluster

ROOT = Path(__file__).parents[2]
EVALUATE = ("evaluate", "--corpus", "corpus", "--by", "sex", "--workers", "2")


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A head with two CPUs."""
    started = RayCluster()
    yield started
    started.stop()


class Shell:
    """`safelight` as a user calls it, with the cluster's address and token."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}

    def begin(self, *words: str, **more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "cluster.cli", *words]
        surrounds = {**self._environment, **more}
        return subprocess.Popen(command, env=surrounds, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *words: str, expect: int = 0, **more: str) -> tuple[str, str]:
        """(stdout, stderr) of a command that ends with the code expected."""
        process = self.begin(*words, **more)
        out, err = process.communicate(timeout=300)
        assert process.returncode == expect, f"{words}: {process.returncode}\n{out}\n{err}"
        return out, err

    def document(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*words, "--format", "json")[0])
        return found


@pytest.fixture
def safelight(cluster: RayCluster) -> Shell:
    return Shell(cluster.environment)


def one_line(err: str) -> str:
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    return lines[0]


def test_a_job_is_sent_followed_and_found_and_the_same_submission_is_one_job(
    safelight: Shell, make_corpus: CorpusMaker, small_model: str
) -> None:
    make_corpus(rows_of(120), shard_rows=10)
    words = (*EVALUATE, "--model", small_model, "--output", "answers", "--label", "team=geo", "--owner", "ada")
    there = safelight.document("submit", *words, "--wait")
    here = safelight.document("run", *EVALUATE[:-1], "0", "--model", small_model, "--output", "local")
    assert there["metrics"] == here["metrics"]
    assert there["groups"] == here["groups"]
    again = safelight.document("submit", *words)
    assert (again["state"], again["new"]) == ("succeeded", False)
    (found,) = safelight.document("jobs", "list", "--owner", "ada")["jobs"]
    assert found["id"] == again["id"]
    assert (found["state"], found["code"], found["runs"]) == ("succeeded", 0, [there["run_id"]])
    assert (found["labels"], found["attempt"], found["drivers"]) == ({"team": "geo"}, 1, 1)
    assert found == {**safelight.document("jobs", "status", again["id"][:14]), "age_s": found["age_s"]}
    assert "120/120 images" in safelight("jobs", "logs", again["id"])[0]
    other = safelight.document("submit", *words, "--key", "another")
    assert other["new"]
    assert other["id"].endswith("-another")
    tags = run_tags(there["run_id"])
    assert tags["safelight.submission"] == again["id"]
    assert tags["safelight.label.team"] == "geo"
    assert tags["safelight.user"] == "ada"
    assert "is over already" in safelight("jobs", "stop", again["id"])[0]


def run_tags(run_id: str) -> dict[str, str]:
    from mlflow import MlflowClient

    tags: dict[str, str] = MlflowClient(f"sqlite:///{Path.cwd()}/mlflow.db").get_run(run_id).data.tags
    return tags


@pytest.mark.slow
def test_the_code_of_a_job_that_fails_comes_back(safelight: Shell, make_corpus: CorpusMaker, small_model: str) -> None:
    make_corpus([*rows_of(8), ("broken.jpg", b"no picture", 0)])
    words = (*EVALUATE, "--model", small_model, "--wait")
    _, wrong = safelight("submit", *words, "--output", "wrong", "--where", "nope = 1", expect=2)
    assert "safelight: where: " in wrong
    _, failed = safelight("submit", *words, "--output", "out", "--max-errors", "0", expect=1)
    assert "1 of 9 images are broken, more than --max-errors 0" in failed
    assert safelight.document("jobs", "list", "--limit", "1")["jobs"][0]["state"] == "failed"


def test_what_cannot_work_is_one_line_within_half_a_minute(
    safelight: Shell, cluster: RayCluster, make_corpus: CorpusMaker, small_model: str
) -> None:
    make_corpus(rows_of(3))
    words = ("submit", *EVALUATE, "--model", small_model, "--output", "out")
    begun = time.monotonic()
    assert "does not know this token" in one_line(safelight("jobs", "list", RAY_AUTH_TOKEN="0" * 64, expect=1)[1])
    assert "does not name a cluster" in one_line(safelight(*words, RAY_ADDRESS="", expect=1)[1])
    closed = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert "Connection refused" in one_line(safelight(*words, RAY_ADDRESS=closed, expect=1)[1])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert "does not answer" in one_line(safelight(*words, RAY_ADDRESS=address, expect=1)[1])
    no_corpus = ("submit", "evaluate", "--corpus", "nothere", "--model", small_model, "--output", "out")
    assert "there is no corpus.json in" in one_line(safelight(*no_corpus, expect=1)[1])
    assert "cannot be reached" in one_line(safelight(*words, MLFLOW_TRACKING_URI=closed, expect=1)[1])
    assert time.monotonic() - begun < 7 * 30
    assert safelight("jobs", "list", RAY_ADDRESS=cluster.gcs_address)


def test_a_wrong_bucket_and_a_wrong_key_are_one_line(
    safelight: Shell, s3_server: S3Server, make_corpus: CorpusMaker, small_model: str
) -> None:
    make_corpus(rows_of(3))
    s3 = {**KEYS, "AWS_ENDPOINT_URL": s3_server.endpoint}
    words = ("submit", *EVALUATE, "--model", small_model, "--output")
    assert "there is no bucket s3://nothere" in one_line(safelight(*words, "s3://nothere/x", **s3, expect=1)[1])
    wrong = {**s3, "AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED00"}
    told = one_line(safelight(*words, "s3://data/x", **wrong, expect=1)[1])
    assert "s3://data" in told
    assert "PLANTED" not in told


CODE = """
import os
import torch

def build():
    if os.environ.get("PLANTED_VARIABLE") != "planted-variable-1":
        raise ValueError("the variable did not come")
    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 3))
"""


@pytest.mark.slow
def test_code_and_credentials_come_to_every_process_and_are_seen_nowhere(
    safelight: Shell, cluster: RayCluster, make_corpus: CorpusMaker
) -> None:
    make_corpus(rows_of(24), shard_rows=6)
    Path("mine").mkdir()
    Path("mine/mynets.py").write_text(CODE)
    planted = {"PLANTED_VARIABLE": "planted-variable-1", "AWS_SECRET_ACCESS_KEY": "planted-secret-2"}
    words = (
        "submit", "predict", "--corpus", "corpus", "--model", "mynets:build", "--code", "mine", "--output", "out",
        "--workers", "2", "--kernel", "torch", "--batch-size", "2", "--label", "odd=planted-variable-1",
        "--env", "PLANTED_VARIABLE", "--credentials",
    )  # fmt: skip
    out, err = safelight(*words, "--dry-run", **planted)
    assert "planted" not in out + err
    assert "# sends PLANTED_VARIABLE: ***" in out
    out, err = safelight(*words, "--wait", **planted)
    assert "planted" not in out + err
    assert sum(path.suffix == ".parquet" for path in Path("out").rglob("*")) == 4
    seen = [json.dumps(cluster.jobs()), *safelight("jobs", "status", "predict", "--format", "json")]
    seen += safelight("jobs", "logs", "predict")
    assert not [text for text in seen if "planted" in text]
    logs = [path for path in cluster.folder.glob("session_*/logs/**/*") if path.is_file()]
    assert len(logs) > 10
    kept = [Path("mlflow.db"), *(path for path in Path("mlruns").rglob("*") if path.is_file()), *logs]
    assert not [path for path in kept if b"planted-" in path.read_bytes()]


def drivers(output: str) -> list[psutil.Process]:
    """The `safelight run` of the job that writes to a folder here."""
    return [
        one for one in psutil.process_iter(["cmdline", "cwd"])
        if "cluster.cli run" in " ".join(one.info["cmdline"] or []) and wrote(one, output)
    ]  # fmt: skip


def wrote(driver: psutil.Process, output: str) -> bool:
    spec = Path(driver.info["cwd"] or "/nowhere") / "spec.yaml"
    return spec.exists() and str(Path(output).resolve()) in spec.read_text()


def wait_for_shards(output: str, count: int, process: subprocess.Popen[str] | None = None) -> None:
    deadline = time.monotonic() + 240
    while len(list(Path(output).glob("test/*.parquet"))) < count:
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_driver_is_begun_again_and_ends_with_the_same_bytes(
    safelight: Shell, make_corpus: CorpusMaker, small_model: str
) -> None:
    make_corpus(rows_of(1500), shard_rows=5)
    words = (*EVALUATE, "--model", small_model)
    process = safelight.begin("submit", *words, "--output", "disturbed", "--wait", "--format", "json")
    for shards in (40, 160):
        wait_for_shards("disturbed", shards, process)
        (driver,) = drivers("disturbed")
        driver.kill()
        driver.wait(timeout=30) if driver.is_running() else None
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err.count("the driver was killed by SIGKILL") == 2
    quiet = safelight.document("run", *EVALUATE[:-1], "0", "--model", small_model, "--output", "quiet")
    assert json.loads(out)["metrics"] == quiet["metrics"]
    assert tree("disturbed") == tree("quiet")
    assert safelight.document("jobs", "list", "--limit", "1")["jobs"][0]["drivers"] == 3
    runs = [json.loads(safelight("results", "--format", "json")[0])]
    assert "RUNNING" not in json.dumps(runs).upper(), "the runs of dead drivers are ended"


@pytest.mark.slow
def test_a_driver_that_keeps_dying_fails_in_one_line(
    safelight: Shell, make_corpus: CorpusMaker, small_model: str
) -> None:
    make_corpus(rows_of(1500), shard_rows=5)
    words = (*EVALUATE, "--model", small_model, "--output", "out", "--retries", "1", "--wait")
    process = safelight.begin("submit", *words)
    for shards in (10, 60):
        wait_for_shards("out", shards, process)
        drivers("out")[0].kill()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "safelight: the driver was killed 2 times, the last time by SIGKILL" in err


@pytest.mark.slow
def test_a_stopped_job_goes_on_where_it_was(safelight: Shell, make_corpus: CorpusMaker, small_model: str) -> None:
    make_corpus(rows_of(1500), shard_rows=5)
    words = ("submit", *EVALUATE, "--model", small_model, "--output", "stopped")
    name = safelight.document(*words)["id"]
    wait_for_shards("stopped", 60)
    again = safelight.document(*words)
    assert (again["id"], again["state"], again["new"]) == (name, "running", False)
    assert "submit the same again" in safelight("jobs", "stop", name)[0]
    deadline = time.monotonic() + 120
    while safelight.document("jobs", "status", name)["state"] != "stopped":
        assert time.monotonic() < deadline
    done = len(list(Path("stopped").glob("test/*.parquet")))
    assert done < 300
    _, err = safelight(*words, "--wait")
    assert f"{name}.2 is submitted" in err
    assert "of 300 shards are answered already" in err
    safelight("run", *EVALUATE[:-1], "0", "--model", small_model, "--output", "quiet")
    assert tree("stopped") == tree("quiet")


@pytest.mark.slow
def test_a_lost_machine_costs_time_and_nothing_else(
    safelight: Shell, cluster: RayCluster, make_corpus: CorpusMaker, small_model: str
) -> None:
    make_corpus(rows_of(3000), shard_rows=5)
    node = cluster.add_node(1)
    words = ("submit", *EVALUATE[:-1], "3", "--model", small_model, "--output", "disturbed", "--wait")
    process = safelight.begin(*words)
    wait_for_shards("disturbed", 100, process)
    cluster.kill_node(node)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    safelight("run", *EVALUATE[:-1], "0", "--model", small_model, "--output", "quiet")
    assert tree("disturbed") == tree("quiet")
