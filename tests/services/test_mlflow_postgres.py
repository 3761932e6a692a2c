"""MLflow on PostgreSQL with files on S3: many writers at once, a server lost and found, and no key in any record."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from cluster.journal import pending
from cluster.results import open as opening
from cluster.results.push import push
from cluster.results.query import Query, find_run, search
from cluster.settings import Settings, from_environment
from cluster.stack import mlflow_server, postgres
from cluster.stack.process import Process
from cluster.tracking import tracked
from jobs.spec import Context, Report
from tests.cluster.toys import Toy, quiet
from tests.services.standing import ROOT, Standing

WRITERS = 8
_WRITER = """
import sys
from pathlib import Path
from cluster.settings import from_environment
from cluster.tracking import tracked
from tests.cluster.toys import Toy, quiet
here = from_environment({"MLFLOW_TRACKING_URI": sys.argv[1]}, Path(sys.argv[2]))
tracked(Toy(text="at once", top1=0.1 * int(sys.argv[3])), quiet, quiet, here)
"""


@pytest.fixture
def here(standing: Standing, tmp_path: Path) -> Settings:
    return from_environment(standing.variables, tmp_path)


@pytest.mark.slow
def test_eight_processes_write_at_once_and_every_run_is_whole(here: Settings, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    children = []
    for number in range(WRITERS):
        (tmp_path / str(number)).mkdir()
        words = [here.tracking_uri, str(tmp_path / str(number)), str(number)]
        children.append(subprocess.Popen([sys.executable, "-c", _WRITER, *words], env=environment))
    assert [child.wait(timeout=300) for child in children] == [0] * WRITERS
    found = search(Query("toy", (("text", "at once"),), metrics=None), here)
    assert sorted(round(run.metrics["top1"].value * 10) for run in found) == list(range(WRITERS))
    for run in found:
        assert run.status == "FINISHED"
        assert run.metrics["loss"].value == pytest.approx(1 / 3)
        assert run.fields["corpus"] == "data/toys"
        assert opening.page(run, here).read_text().startswith("<!doctype html>")
        assert opening.file(run, "tables/confusion.parquet", here).stat().st_size > 0


@pytest.mark.slow
def test_a_server_lost_in_the_middle_costs_a_push(here: Settings, standing: Standing) -> None:
    class Loses(Toy):
        def run(self, context: Context | None = None) -> Report:
            context.follower.opened()  # type: ignore[union-attr]
            assert Process(mlflow_server.NAME, standing.folder).stop()
            return super().run(context)

    said: list[str] = []
    try:
        _, run_id = tracked(Loses(text="lost"), said.append, quiet, here)
        assert "results push" in said[-1] and len(pending(here.state)) == 1
    finally:
        mlflow_server.start(standing.place, on_postgres=True, on_s3=True)
    assert push(here, said.append) == 1
    run = find_run(str(run_id), here)
    assert run.status == "FINISHED" and run.metrics["top1"].low == 0.4
    assert opening.page(run, here).exists()
    assert pending(here.state) == []


def test_no_key_of_the_servers_is_in_the_database_or_beside_it(
    here: Settings, standing: Standing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in standing.variables.items():
        monkeypatch.setenv(name, value)
    keys = standing.place.keys
    tracked(Toy(text=f"s3 {keys['s3_secret']}", corpus=f"s3://x:{keys['s3_key']}@y/z"), quiet, quiet, here)
    engine = sqlalchemy.create_engine(postgres.uri(standing.place))
    with engine.connect() as base:
        assert str(engine.url).startswith("postgresql")
        for table in ("params", "tags", "experiments", "runs", "datasets", "inputs"):
            rows = base.execute(sqlalchemy.text(f"SELECT t::text FROM {table} t")).scalars().all()
            assert not [row for row in rows if any(key in row for key in keys.values())], table
    engine.dispose()
    (run,) = search(Query("toy", limit=1), here)
    for name in ("report.html", "report.json", "job.yaml", "log.txt"):
        text = opening.file(run, name, here).read_text()
        assert not [key for key in keys.values() if key in text], name
