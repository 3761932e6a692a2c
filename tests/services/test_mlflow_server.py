"""A real MLflow server: used, lost in the middle of a job, back again, and not there at all."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from cluster.journal import pending
from cluster.registry import fetch
from cluster.results import open as opening
from cluster.results.push import push
from cluster.results.query import Query, find_run, search
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from jobs.spec import Context, JobFailed, Report
from tests.cluster.toys import Toy, quiet
from tests.services.mlflow_server import Server


def at(address: str, folder: Path) -> Settings:
    return from_environment({"MLFLOW_TRACKING_URI": address}, folder)


@pytest.mark.slow
def test_a_run_goes_to_the_server_and_is_found_there(server: Server, tmp_path: Path) -> None:
    here = at(server.address, tmp_path)
    _, run_id = tracked(Toy(text="remote", model="m"), quiet, quiet, here)
    (run,) = search(Query("toy", (("text", "remote"),), metrics=("top1",)), here)
    assert run.run_id == run_id
    assert run.status == "FINISHED"
    assert run.metrics["top1"].value == 0.5
    assert find_run(run.run_id[:10], here).run_id == run_id
    assert opening.page(run, here).read_text().startswith("<!doctype html>")
    assert not list(tmp_path.glob("*.db")), "nothing of the server's is kept here"


@pytest.mark.slow
def test_a_model_is_registered_and_fetched_through_the_server(server: Server, tmp_path: Path, small_model: str) -> None:
    class Registers(Toy):
        def run(self, context: Context | None = None) -> Report:
            assert context is not None
            return Report(tags={"registered": context.register(small_model, "shapes@best")})

    here = at(server.address, tmp_path)
    report, _ = tracked(Registers(), quiet, quiet, here)
    assert report.tags["registered"] == "models:/shapes@best"
    model = fetch("models:/shapes@best", here)
    assert model.folder is not None
    assert model.folder.is_relative_to(tmp_path / ".safelight")
    model.build()


@pytest.mark.slow
def test_a_server_lost_in_the_middle_costs_a_warning_and_a_push(
    server: Server, tmp_path: Path, small_model: str
) -> None:
    class Loses(Toy):
        def run(self, context: Context | None = None) -> Report:
            context.follower.opened()  # type: ignore[union-attr]
            context.metric("before", 1.0)  # type: ignore[union-attr]
            context.follower.settle()  # type: ignore[union-attr]
            server.kill()
            assert context.register(small_model, "late@now") == "models:/late@now"  # type: ignore[union-attr]
            return super().run(context)

    here = at(server.address, tmp_path)
    said: list[str] = []
    start = time.monotonic()
    try:
        report, run_id = tracked(Loses(text="lost"), said.append, quiet, here)
        assert report.metrics["top1"].value == 0.5, "the job finished"
        assert time.monotonic() - start < 60
        assert "results push" in said[-1]
        assert "warning" in said[-1]
        assert len(pending(here.state)) == 1
        with pytest.raises(JobFailed, match="cannot be reached"):
            push(here, said.append)
    finally:
        server.start()
    assert MlflowClient(server.address).get_run(str(run_id)).info.status == "RUNNING"
    assert push(here, said.append) == 1
    run = MlflowClient(server.address).get_run(str(run_id))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["before"] == 1.0
    assert run.data.metrics["top1.low"] == 0.4
    assert run.data.params["text"] == "lost"
    names = {file.path for file in MlflowClient(server.address).list_artifacts(str(run_id))}
    assert {"report.html", "report.json", "tables", "job.yaml", "log.txt"} <= names
    assert fetch("models:/late@now", here).folder is not None
    assert pending(here.state) == []


@pytest.mark.slow
def test_records_for_one_server_do_not_go_to_another(server: Server, tmp_path: Path) -> None:
    from cluster.journal import Journal

    here = at(server.address, tmp_path)
    journal = Journal.create(here.state, "toy", "http://elsewhere.example.org")
    said: list[str] = []
    assert push(here, said.append) == 0
    assert "elsewhere.example.org" in said[0]
    assert pending(here.state) == [journal]


def test_a_server_that_is_not_there_stops_the_job_before_it_works(tmp_path: Path) -> None:
    start = time.monotonic()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(JobFailed, match="cannot be reached at http://127"):
        tracked(Toy(ends="killed"), quiet, quiet, at(address, tmp_path))
    assert time.monotonic() - start < 30
    assert pending(tmp_path / ".safelight") == []


def test_a_server_that_never_answers_stops_the_job_too(tmp_path: Path) -> None:
    start = time.monotonic()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(JobFailed, match="cannot be reached"):
            tracked(Toy(ends="killed"), quiet, quiet, at(f"http://127.0.0.1:{deaf.getsockname()[1]}", tmp_path))
    assert time.monotonic() - start < 30
