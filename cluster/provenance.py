"""Where a run comes from: who ran which code, and what to call it."""

from __future__ import annotations

import getpass
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster.masking import as_word
from jobs.spec import Job


def job_name(job: Job) -> str:
    """The word of a job: the name of its file for the jobs of safelight, else of its class."""
    kind = type(job)
    package, _, module = kind.__module__.rpartition(".")
    return module if package == "jobs" else kind.__name__.lower()


def title(job: Job) -> str:
    """A short name for a run: the job and the ends of the references it is about."""
    values = [as_word(getattr(job, name, "")) for name in ("model", "corpus", "predictions")]
    return " ".join([job_name(job), *(value.rstrip("/").rsplit("/", 1)[-1] for value in values if value)])[:200]


def facts() -> dict[str, str]:
    """Tags about this code and its user."""
    commit = git_commit(Path(__file__).parent)
    return {
        "mlflow.user": user(),
        "safelight.user": user(),
        "safelight.version": safelight_version(),
        **({} if commit is None else {"mlflow.source.git.commit": commit, "safelight.commit": commit}),
    }


def safelight_version() -> str:
    """The version that is installed; `source` if the code is used without."""
    try:
        return version("safelight")
    except PackageNotFoundError:
        return "source"


def user() -> str:
    """The login name, or `unknown` in a container that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def git_commit(folder: Path) -> str | None:
    """The commit checked out where the code lies, if it lies in a checkout."""
    command = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
