"""`safelight submit` and `safelight jobs`, as far as they go without a cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORDS = ("submit", "evaluate", "--corpus", "photos", "--model", "nets.lenet:lenet5", "--output", "out")


def safelight(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    surrounds = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment}
    command = [sys.executable, "-m", "cluster.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=surrounds)


def test_submit_takes_the_words_of_run_and_its_own() -> None:
    there, here = (" ".join(safelight(word, "evaluate", "--help").stdout.split()) for word in ("submit", "run"))
    assert "--stratify" in there
    for flag in ("--wait", "--key", "--label", "--owner", "--queue", "--priority", "--retries", "--max-gpus"):
        assert flag in there
        assert f"{flag} " not in here


def test_dry_run_shows_what_would_be_sent_and_asks_no_server() -> None:
    done = safelight(*WORDS, "--dry-run", "--key", "monday", RAY_ADDRESS="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr
    assert f"corpus: {Path.cwd()}/photos" in done.stdout
    assert "# entrypoint: exec python -m cluster.submission.there run evaluate spec.yaml" in done.stdout
    assert "# submission: evaluate-" in done.stdout
    assert not list(Path.cwd().iterdir()), "nothing is left behind"


@pytest.mark.parametrize(
    ("more", "told", "code"),
    [
        (("--label", "team"), "'team' is not NAME=VALUE", 2),
        (("--retries", "-1"), "-1 is not in the range x>=0", 2),
        (("--colour", "red"), "No such option", 2),
        (("--env", "NOTHERE"), "--env NOTHERE: this variable is not set here", 2),
        ((), "RAY_ADDRESS does not name a cluster: set it to the address of its job server", 1),
    ],
)
def test_wrong_words_are_one_line(more: tuple[str, ...], told: str, code: int) -> None:
    done = safelight(*WORDS, *more)
    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("address", ["auto", "ray://head:10001", "head"])
def test_an_address_that_is_no_job_servers_is_told_so(address: str) -> None:
    done = safelight("jobs", "list", RAY_ADDRESS=address)
    assert done.returncode == 1
    assert "RAY_ADDRESS" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
