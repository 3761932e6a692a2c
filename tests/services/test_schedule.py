"""A night on a real cluster: submitted under its name, waited for, judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.results.query import Query, search
from cluster.settings import from_environment
from tests.making import CorpusMaker, rows_of, train_small
from tests.services.ray_cluster import RayCluster

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A head with two CPUs."""
    started = RayCluster()
    yield started
    started.stop()


def tick(cluster: RayCluster, expect: int, *words: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "cluster.cli", "schedule", "tick", "--format", "json", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **cluster.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == expect, done.stderr
    nights: list[dict[str, Any]] = json.loads(done.stdout)["nights"]
    return nights


def test_a_night_on_the_cluster_is_one_submission_and_is_judged_here(
    tmp_path: Path, cluster: RayCluster, make_corpus: CorpusMaker, small_model: str
) -> None:
    worse = train_small(tmp_path / "worse", epochs=0)
    entry = {
        "name": "shapes",
        "at": "30 2 * * *",
        "evaluate": {"corpus": make_corpus(rows_of(120), shard_rows=40), "workers": 1},
        "models": [worse],
        "against": small_model,
        "gates": [{"metric": "top1", "margin": 0.05}],
    }
    (tmp_path / "nightly.yaml").write_text(yaml.safe_dump([entry]))
    moment = ("--now", "2026-06-05T02:30:05+00:00")
    (night,) = tick(cluster, 3, *moment)
    assert (night["night"], night["verdict"]) == ("shapes@2026-06-05", "fail")
    assert [run["model"] for run in night["runs"]] == [worse]
    runs = search(Query(), from_environment({}, tmp_path))
    assert {run.fact("night") for run in runs} == {"shapes@2026-06-05"}
    assert {(run.fields["model"], run.fact("verdict")) for run in runs} == {(worse, "fail"), (small_model, None)}
    assert len({run.fact("submission") for run in runs}) == 1
    # A scheduler that forgot everything finds the night's runs.
    (tmp_path / ".safelight" / "nights" / "nights.json").unlink()
    assert tick(cluster, 0, *moment) == []
    assert len(search(Query(), from_environment({}, tmp_path))) == 2
