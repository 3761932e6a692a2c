"""An MLflow server that asks for a password: the right one records, a wrong one is one line, and none is written."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cluster.results.query import Query, search
from cluster.settings import Settings, from_environment
from cluster.tracking import tracked
from tests.cluster.toys import Toy, quiet
from tests.making import tree
from tests.services.mlflow_server import Server

ROOT = Path(__file__).parents[2]
PASSWORD = "a-password-that-nobody-guesses"
CONFIG = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/auth.db
admin_username = chief
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one user."""
    pytest.importorskip("flask_wtf", reason="MLflow's authentication needs Flask-WTF")
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "auth.ini").write_text(CONFIG.format(folder=folder, password=PASSWORD))
    environment = {"MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "x" * 32}
    server = Server(folder, ["--app-name", "basic-auth"], environment)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def here(guarded: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guarded.address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "chief")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    return from_environment({"MLFLOW_TRACKING_URI": guarded.address}, tmp_path)


def called(folder: Path, words: list[str], environment: Mapping[str, str]) -> tuple[int, str, float]:
    """Exit code, all that was said, and seconds."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cluster.cli", *words],
        cwd=folder, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, time.monotonic() - start


@pytest.mark.slow
def test_the_right_password_records_and_is_written_nowhere(here: Settings, guarded: Server, tmp_path: Path) -> None:
    _, run_id = tracked(Toy(text=f"with {PASSWORD} inside"), quiet, quiet, here)
    (run,) = search(Query("toy"), here)
    assert run.run_id == run_id and run.status == "FINISHED"
    assert run.fields["text"] == "with *** inside"
    written = {**tree(tmp_path), **tree(guarded.folder / "files")}
    assert any(name.endswith("report.html") for name in written)
    assert not [name for name, data in written.items() if PASSWORD.encode() in data]
    assert PASSWORD.encode() not in (guarded.folder / "server.db").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("user", "password"), [("chief", "not-the-right-one"), ("nobody", PASSWORD), (None, None)])
@pytest.mark.parametrize(
    "words",
    [["results"], ["run", "evaluate", "--table", "answers.csv", "--columns", "truth=truth,prediction=prediction"]],
)
def test_a_wrong_password_is_one_line_within_seconds(
    here: Settings, tmp_path: Path, user: str | None, password: str | None, words: list[str]
) -> None:
    (tmp_path / "answers.csv").write_text("id,truth,prediction\n" + "".join(f"{n},a,a\n" for n in range(20)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_TRACKING_")}
    environment["MLFLOW_TRACKING_URI"] = here.tracking_uri
    if user is not None:
        environment |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": str(password)}
    code, said, took = called(tmp_path, words, environment)
    assert code == 1, said
    assert took < 30
    line = [line for line in said.splitlines() if line.startswith("safelight:")]
    assert len(line) == 1
    assert "MLFLOW_TRACKING_PASSWORD" in line[0] and here.tracking_uri in line[0], said
    assert "Traceback" not in said and str(password) not in said
    assert not list(tmp_path.glob(".safelight/**/events.jsonl")), "nothing is left waiting"
