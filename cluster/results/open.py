"""The page of a run, as a file on this machine."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from cluster.masking import masked
from cluster.results.query import Run
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed

PAGE = "report.html"


def page(run: Run, where: Settings) -> Path:
    """The report page of a run: where it lies, or a copy fetched from the server.

    Raises:
        JobFailed: if it has none or the server does not give it.
    """
    try:
        return file(run, PAGE, where)
    except (OSError, ValueError) as error:
        said = f" ({error})" if artifact(run, PAGE) is None else ""
        raise JobFailed(f"{_without(run)}{said}") from None


def file(run: Run, name: str, where: Settings) -> Path:
    """A file of a run: where it lies, or a copy fetched from the server, once.

    Raises:
        OSError: if there is none, or the server does not give it; in one line.
    """
    local = artifact(run, name)
    if local is None:
        local = where.state / "pages" / run.run_id / name
        if not local.exists():
            _fetch(f"{run.artifact_uri}/{name}", local.parent, where)
    if not local.exists():
        raise FileNotFoundError(f"{local} is not there")
    return local


def link(run: Run, where: Settings) -> str | None:
    """Where a reader finds the run: its place in MLflow's page, or else its report on this machine."""
    parts = urlsplit(where.tracking_uri)
    if parts.scheme in ("http", "https"):
        place = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{place}{parts.path}/#/experiments/{run.experiment}/runs/{run.run_id}"
    local = artifact(run, PAGE)
    return str(local) if local is not None and local.exists() else None


def artifact(run: Run, name: str) -> Path | None:
    """A file of a run on this machine; None if its files are kept elsewhere."""
    parts = urlsplit(run.artifact_uri)
    if parts.scheme not in ("", "file"):
        return None
    return Path(url2pathname(parts.path)) / name


def _fetch(uri: str, folder: Path, where: Settings) -> None:
    quiet_mlflow()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    folder.mkdir(parents=True, exist_ok=True)
    try:
        download_artifacts(uri, dst_path=str(folder), tracking_uri=where.tracking_uri)
    except MlflowException as error:
        raise OSError(masked(str(error).splitlines()[0])) from None


def _without(run: Run) -> str:
    reason = run.fact("error")
    return f"run {run.run_id} has no page: it is {run.status.lower()}" + (f", {reason}" if reason else "")
