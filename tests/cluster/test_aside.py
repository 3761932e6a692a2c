"""The process that speaks to MLflow: started ahead of a job that will be run, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cluster import aside, packing
from cluster.commands import Jobs
from cluster.settings import from_environment
from cluster.tracking import tracked
from jobs.spec import JobFailed
from tests.cluster.toys import Toy, quiet

ROOT = Path(__file__).parents[2]


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody asked about does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (["predict", "--corpus", "c"], 1),
        (["predict", "--help"], 0),
        (["predict", "-h"], 0),
        (["predict", "--corpus", "c", "--dry-run"], 0),
        (["--help"], 0),
        ([], 0),
    ],
)
def test_only_a_job_that_will_be_run_begins(words: list[str], begins: int) -> None:
    begun: list[None] = []
    helps = {"help_option_names": ["-h", "--help"]}
    group = Jobs("run", act=lambda *_: 0, begin=lambda: begun.append(None), context_settings=helps)
    CliRunner().invoke(group, words)
    assert len(begun) == begins


def test_words_that_are_completed_begin_nothing() -> None:
    group = Jobs("run", act=lambda *_: 0, begin=lambda: pytest.fail("a job was begun"))
    context = click.Context(group, resilient_parsing=True)
    assert group.resolve_command(context, ["predict"])[0] == "predict"


def test_a_job_is_served_by_the_child_that_was_prepared(tmp_path: Path) -> None:
    aside.prepare()
    (child,) = aside._idle
    tracked(Toy(), quiet, quiet, from_environment({}, tmp_path))
    assert aside._idle == [child]
    assert child.asked
    aside.prepare()
    assert aside._idle == [child], "one that serves is enough"


def test_a_child_of_another_environment_is_let_go_before_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    aside.prepare()
    (first,) = aside._idle
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", f"somebody {time.monotonic()}")
    aside.prepare()
    (second,) = aside._idle
    assert second is not first
    assert first.process.poll() is not None


def test_a_child_that_nobody_asked_ends_with_its_parent() -> None:
    code = "from cluster import aside\naside.prepare()\nprint(aside._idle[0].process.pid)\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stderr == ""
    deadline = time.monotonic() + 1.0
    while alive(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(int(done.stdout))


def test_a_child_stands_back_and_is_not_interrupted_with_its_parent() -> None:
    child = aside._Child()
    try:
        deadline, wanted = time.monotonic() + 30.0, min(os.getpriority(os.PRIO_PROCESS, 0) + aside.NICE, 19)
        while (nice := os.getpriority(os.PRIO_PROCESS, child.process.pid)) != wanted and time.monotonic() < deadline:
            time.sleep(0.01)
        assert nice == wanted
        assert os.getpgid(child.process.pid) == child.process.pid
    finally:
        child.end()


def test_a_child_whose_parent_was_killed_ends_without_a_word(tmp_path: Path) -> None:
    code = (
        "import os, signal, threading\n"
        "from cluster.aside import Aside\n"
        "from cluster.journal import Journal\n"
        "from cluster.settings import settings\n"
        "here = settings()\n"
        "journal = Journal.create(here.state, 'toy', here.tracking_uri)\n"
        "aside = Aside(here)\n"
        "threading.Thread(target=aside.open, args=[journal], daemon=True).start()\n"
        "while aside._child is None or not aside._child.asked: pass\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Its stderr is the child's too, which therefore ends first.
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (-9, b"")


def test_a_child_does_without_pandas() -> None:
    """It is a fifth of MLflow's import, and 40 MB; what needs it has a process of its own (`cluster.packing`)."""
    child = aside._Child()
    try:
        assert "error" in child.ask('["open", "nowhere", {}]')
        loaded = Path(f"/proc/{child.process.pid}/maps").read_text()
    finally:
        child.end()
    assert "/numpy/" in loaded
    assert "/pandas/" not in loaded


def test_a_folder_that_cannot_be_packed_fails_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(JobFailed, match=r"nothing cannot be packed for MLflow: FileNotFoundError.*model.json"):
        packing.beside(tmp_path / "nothing", tmp_path / "packed")
