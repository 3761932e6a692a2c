"""The whole stack, started by its own command: Ray with a token, MLflow on PostgreSQL, S3; on loopback.

Its folder lies outside pytest's, which only root may enter: as root, PostgreSQL runs as another user.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.stack import postgres
from cluster.stack.place import Place

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Standing:
    """A stack that runs, and what `up` said."""

    folder: Path
    said: str

    @property
    def place(self) -> Place:
        place = Place.found(self.folder)
        assert place is not None
        return place

    @property
    def variables(self) -> dict[str, str]:
        """What a shell gets from the file that `up` wrote."""
        lines = self.place.environment.read_text().splitlines()
        return dict(shlex.split(line)[1].split("=", 1) for line in lines)


def stack(*words: str) -> subprocess.CompletedProcess[str]:
    """`safelight stack ...` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cluster.cli", "stack", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def standing() -> Iterator[Standing]:
    """The stack, for all tests of the session that need it; skips where PostgreSQL is not installed."""
    folder = Path(tempfile.mkdtemp(prefix="safelight-stack-"))
    folder.chmod(0o755)
    try:
        if (reason := postgres.obstacle(folder)) is not None:
            pytest.skip(reason)
        done = stack("up", "--folder", str(folder), "--cpus", "1")
        assert done.returncode == 0, done.stdout + done.stderr
        yield Standing(folder, done.stdout)
    finally:
        stack("down", "--folder", str(folder))
        shutil.rmtree(folder, ignore_errors=True)
