"""Pages of results: they follow each other whatever is recorded meanwhile, and come quickly among many runs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cluster.results.local import LocalStore
from cluster.results.query import Query, Term, search
from cluster.results.remote import RemoteStore
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from tests.cluster.calling import called
from tests.cluster.many import multiply
from tests.cluster.toys import Toy, quiet

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    """Six runs; the process stands in their folder."""
    here = from_environment({}, tmp_path)
    tracked(Toy(), quiet, quiet, here)
    multiply(here.tracking_uri, 6)
    return here


def listed(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(called(*words, "--format", "json").stdout)
    return found


def test_pages_follow_each_other_and_new_runs_move_nothing(here: Settings) -> None:
    assert here.database is not None
    local, remote = LocalStore.open(here.database, here.experiment), RemoteStore(here)
    assert local is not None
    all_ids = [run.run_id for run in search(Query())]
    for size in (1, 2, 4):
        pages: list[str] = []
        while part := search(Query(limit=size, after=pages[-1] if pages else None)):
            pages += [run.run_id for run in part]
        assert pages == all_ids
    # A run recorded between two pages does not show up on the second.
    one = search(Query(limit=2))
    tracked(Toy(), quiet, quiet, here)
    assert [run.run_id for run in search(Query(after=one[-1].run_id))] == all_ids[2:]
    third = search(Query())[3]
    term = Term("attribute", "after", f"{third.started_ms} {third.run_id}")
    assert [run.run_id for run in local.runs([term], (), 2)] == all_ids[3:]
    assert [run.run_id for run in remote.runs([term], (), 2)] == all_ids[3:]
    all_ids = [run.run_id for run in search(Query())]
    first = listed("--limit", "4")
    assert first["more"] and first["after"] == first["runs"][-1]["run_id"] == all_ids[3]
    last = listed("--limit", "4", "--after", first["after"])
    assert [run["run_id"] for run in last["runs"]] == all_ids[4:]
    assert last["after"] is None


def test_runs_of_one_millisecond_are_ordered_by_id_in_both_ways(here: Settings) -> None:
    assert here.database is not None
    with sqlite3.connect(here.database) as base:
        base.execute("UPDATE runs SET start_time = 1700000000000")
    local, remote = LocalStore.open(here.database, here.experiment), RemoteStore(here)
    assert local is not None
    all_ids = sorted(run.run_id for run in local.runs([], (), 100))
    term = Term("attribute", "after", f"1700000000000 {all_ids[3]}")
    for store in (local, remote):
        assert [run.run_id for run in store.runs([], (), 3)] == all_ids
        assert [run.run_id for run in store.runs([term], (), 3)] == all_ids[4:]


@pytest.mark.slow
def test_the_first_page_of_fifty_thousand_runs_takes_less_than_three_seconds(tmp_path: Path) -> None:
    here = from_environment({}, tmp_path)
    for index in range(5):
        tracked(Toy(top1=0.5 + index / 100, model=f"m{index}"), quiet, quiet, here)
    multiply(here.tracking_uri, 50_000)
    words = ["toy", "--where", "model=m1", "--metric", "top1", "--format", "json"]
    command = [sys.executable, "-m", "cluster.cli", "results", *words]
    start = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    took = time.monotonic() - start
    document = json.loads(done.stdout)
    assert len(document["runs"]) == 50 and document["more"]
    assert {run["metrics"]["top1"]["value"] for run in document["runs"]} == {0.51}
    assert took < 3
