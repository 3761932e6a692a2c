"""`safelight stack`: the servers of a cluster by one command, private, on loopback, and stopped without a trace."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from cluster.stack.place import Place
from cluster.stack.process import Process
from jobs.spec import JobFailed
from tests.services.standing import Standing, stack

SERVERS = ("postgres", "s3", "mlflow", "ray")


def test_up_says_where_everything_is_and_a_second_up_that_it_runs(standing: Standing) -> None:
    for name in SERVERS:
        assert any(line.startswith(name) and "127.0.0.1" in line for line in standing.said.splitlines())
    pids = {name: Process(name, standing.folder).running() for name in SERVERS}
    again = stack("up", "--folder", str(standing.folder))
    assert again.returncode == 0
    assert again.stdout.count("runs already") == len(SERVERS)
    assert {name: Process(name, standing.folder).running() for name in SERVERS} == pids
    status = stack("status", "--folder", str(standing.folder)).stdout.splitlines()
    assert [line.split()[:2] for line in status] == [[name, "runs"] for name in SERVERS]


def test_keys_are_for_their_owner_alone_and_on_no_command_line(standing: Standing) -> None:
    keys = set(standing.place.keys.values())
    for name in ("environment", "keys.json", "s3.json"):
        assert stat.S_IMODE((standing.folder / name).stat().st_mode) == 0o600
    for log in standing.folder.glob("*.log"):
        assert not [key for key in keys if key in log.read_text(errors="replace")], log
    for name in SERVERS:
        process = Process(name, standing.folder).running()
        assert process is not None
        for one in (process, *process.children(recursive=True)):
            assert not [key for key in keys if key in " ".join(one.cmdline())], one.cmdline()
    assert not [key for key in keys if key in standing.said]


def test_every_server_listens_on_loopback_only(standing: Standing) -> None:
    seen = 0
    for name in SERVERS:
        process = Process(name, standing.folder).running()
        assert process is not None
        for one in (process, *process.children(recursive=True)):
            for connection in one.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    seen += 1
                    assert connection.laddr.ip in ("127.0.0.1", "::1", "::ffff:127.0.0.1"), (one, connection)
    assert seen >= len(SERVERS)


PROGRAM = """
import os, urllib.request, pyarrow.fs as fs
print(urllib.request.urlopen(os.environ["MLFLOW_TRACKING_URI"] + "/health").read())
s3 = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"])
print([found.path for found in s3.get_file_info(fs.FileSelector(""))])
"""


def submitted(variables: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The program as a job, by Ray's own command; its log is what the command prints."""
    (folder / "program.py").write_text(PROGRAM)
    words = ["job", "submit", "--address", variables["RAY_API_SERVER_ADDRESS"], "--", "python", "program.py"]
    return subprocess.run(
        [sys.executable, "-m", "ray.scripts.scripts", *words[:4], "--working-dir", str(folder), *words[4:]],
        env={**os.environ, **variables}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_a_job_on_the_stack_reaches_its_servers(standing: Standing, tmp_path: Path) -> None:
    done = submitted(standing.variables, tmp_path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "b'OK'" in said and "'mlflow', 'safelight'" in said


def test_without_the_token_nobody_submits(standing: Standing, tmp_path: Path) -> None:
    done = submitted({**standing.variables, "RAY_AUTH_TOKEN": "f" * 40}, tmp_path)
    assert done.returncode != 0
    assert "authentication" in (done.stdout + done.stderr).lower()


def test_a_port_that_somebody_has_is_refused(standing: Standing, tmp_path: Path) -> None:
    taken = str(standing.place.ports["mlflow"])
    done = stack("up", "--folder", str(tmp_path / "other"), "--mlflow-port", taken)
    assert done.returncode == 2
    assert done.stderr == f"safelight: mlflow-port: somebody else listens on {taken}\n"


def test_stopping_ends_only_what_was_started_here(tmp_path: Path) -> None:
    process = Process("sleeper", tmp_path)
    process.start(["sh", "-c", "sleep 300 & wait"], {})
    running = process.running()
    assert running is not None
    # A pid that was given to another process since is left alone.
    (tmp_path / "stranger.pid").write_text(f'{{"pid": {os.getpid()}, "born": 1.0}}')
    assert Process("stranger", tmp_path).stop() is False
    process.wait(lambda: bool(running.children()), 10)
    (child,) = running.children()
    assert process.stop() is True
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert process.stop() is False


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    process = Process("broken", tmp_path)
    process.start(["sh", "-c", "echo no such disk; exit 3"], {})
    with pytest.raises(JobFailed, match="broken ended as soon as it was started") as caught:
        process.wait(lambda: False, 20)
    assert "no such disk" in caught.value.details


def test_down_without_a_stack_and_a_place_is_kept_from_time_to_time(tmp_path: Path) -> None:
    assert "nothing of" in stack("down", "--folder", str(tmp_path)).stdout
    first = Place.made(tmp_path, {"mlflow": 5050})
    assert Place.made(tmp_path, {}) == first, "ports and keys stay"
    assert first.ports["mlflow"] == 5050
    assert len(set(first.ports.values())) == len(first.ports)
