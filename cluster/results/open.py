"""The page of a run, as a file on this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cluster.results.query import Run
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed

PAGE = "report.html"


def page(run: Run, where: Settings) -> Path:
    """The report page of a run: where it lies, or a copy fetched from the server.

    Raises:
        JobFailed: if it has none or the server does not give it.
    """
    local = artifact(run, PAGE)
    if local is None:
        return _fetched(run, where)
    if not local.exists():
        raise JobFailed(_without(run))
    return local


def artifact(run: Run, name: str) -> Path | None:
    """A file of a run on this machine; None if its files are kept elsewhere."""
    parts = urlsplit(run.artifact_uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(url2pathname(parts.path)) / name


def _fetched(run: Run, where: Settings) -> Path:
    quiet_mlflow()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    folder = where.state / "pages" / run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    try:
        uri = f"{run.artifact_uri}/{PAGE}"
        return Path(download_artifacts(uri, dst_path=str(folder), tracking_uri=where.tracking_uri))
    except (MlflowException, OSError) as error:
        raise JobFailed(f"{_without(run)} ({str(error).splitlines()[0]})") from None


def _without(run: Run) -> str:
    reason = run.fact("error")
    return f"run {run.run_id} has no page: it is {run.status.lower()}" + (f", {reason}" if reason else "")
