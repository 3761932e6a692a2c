"""Ids taken out of what MLflow and the journals hold about a corpus: pages, tables, documents, logs, tags.

All runs of the experiment are looked at, deleted ones too, since MLflow keeps their files until `mlflow gc`. Files on
this machine are changed in place; others are fetched and logged again. A registered model is left as it is. MLflow's
interface cannot change a parameter: in a database file it is changed directly, on a server it is named.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.client import connect
from cluster.journal import Journal, pending
from cluster.masking import masked
from cluster.recorded import rewrite_fields
from cluster.registry import MODEL_FOLDER
from cluster.results.open import artifact
from cluster.results.query import Run
from cluster.sender import one_line
from cluster.settings import Settings, quiet_mlflow
from jobs import storage
from jobs.forgetting.files import purged, without
from jobs.forgetting.ids import Ids
from jobs.spec import JobFailed, Touched

_PLACES = ("output", "predictions", "baseline", "candidate")
"""Fields that may name predictions."""


def outputs(corpus: str, where: Settings) -> list[str]:
    """The predictions folders that runs recorded for a corpus.

    Raises:
        JobFailed: if MLflow cannot be reached.
    """
    found = (run for run in _runs(where) if _about(run.fields, run.tags, corpus, (), where))
    named = (place for run in found for place in (run.output, *(run.fields.get(name) for name in _PLACES)))
    return sorted({_absolute(place, where) for place in named if place} - {corpus})


def forget(corpus: str, places: Sequence[str], ids: Ids, where: Settings) -> list[Touched]:
    """Take ids out of every run about a corpus or its predictions.

    Raises:
        JobFailed: if MLflow cannot be reached, or a file cannot be changed; the same again goes on from there.
    """
    touched: list[Touched] = []
    for run in _runs(where):
        if not _about(run.fields, run.tags, corpus, places, where):
            continue
        try:
            touched += [Touched(f"run {run.run_id}: {name}", "file", n) for name, n in _files(run, ids, where)]
            touched += [Touched(f"run {run.run_id}: {name}", what, 1) for name, what in rewrite_fields(run, ids, where)]
        except Exception as error:
            raise JobFailed(f"run {run.run_id}: not everything could be forgotten: {one_line(error)}") from None
        pages = where.state / "pages" / run.run_id
        touched += [Touched(str(pages / name), "file", n) for name, n in _folder(pages, ids)]
    for journal in pending(where.state):
        touched += _journal(journal, corpus, places, ids, where)
    return touched


def _runs(where: Settings) -> Iterator[Run]:
    quiet_mlflow()
    from mlflow.entities import ViewType
    from mlflow.exceptions import MlflowException

    try:
        client, token = connect(where), None
        experiment = client.get_experiment_by_name(where.experiment)
        while experiment is not None:
            page = client.search_runs([experiment.experiment_id], "", ViewType.ALL, 500, page_token=token)
            for run in page:
                info = run.info
                yield Run(info.run_id, info.status, info.start_time, info.end_time, info.artifact_uri,
                          dict(run.data.params), dict(run.data.tags))  # fmt: skip
            token = page.token
            if not token:
                return
    except MlflowException as error:
        raise JobFailed(f"MLflow at {masked(where.tracking_uri)} did not answer: {one_line(error)}") from None


def _about(
    fields: Mapping[str, Any], tags: Mapping[str, Any], corpus: str, places: Sequence[str], where: Settings
) -> bool:
    """Whether a run read or made a corpus, or predictions that are among `places`."""
    if tags.get("safelight.corpus") == corpus:
        return True
    named = fields.get("corpus") or ""
    place, _, version = named.rpartition("@")
    if named and _absolute(place if version.isdigit() and place else named, where) == corpus:
        return True
    others = [tags.get("safelight.output"), *(fields.get(name) for name in _PLACES)]
    return any(_absolute(other, where) in places for other in others if other)


def _absolute(url: str, where: Settings) -> str:
    """A place as a run recorded it; a relative one was meant from beside the records."""
    if "://" in url or url.startswith(("/", "~")):
        try:
            return storage.absolute(url)
        except ValueError:
            return url
    return storage.absolute(str(where.home / url))


def _files(run: Run, ids: Ids, where: Settings) -> Iterator[tuple[str, int]]:
    """The files of a run that were changed, and in how many places."""
    folder = artifact(run, "")
    if folder is not None:
        yield from _folder(folder, ids)
        return
    client = connect(where)
    with tempfile.TemporaryDirectory(prefix="safelight-forget-") as scratch:
        for name in _listed(client, run.run_id, ""):
            path = Path(client.download_artifacts(run.run_id, name, scratch))
            if count := _change(path, name, ids):
                client.log_artifact(run.run_id, str(path), name.rpartition("/")[0] or None)
                yield name, count
            path.unlink()


def _listed(client: Any, run_id: str, folder: str) -> Iterator[str]:
    for found in client.list_artifacts(run_id, folder or None):
        if found.is_dir and found.path != MODEL_FOLDER:
            yield from _listed(client, run_id, found.path)
        elif not found.is_dir:
            yield found.path


def _folder(folder: Path, ids: Ids) -> Iterator[tuple[str, int]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name.split("/")[0] != MODEL_FOLDER and (count := _change(path, name, ids)):
            yield name, count


def _change(path: Path, name: str, ids: Ids) -> int:
    """Write a file without the ids; in how many places it changed."""
    new = purged(name, path.read_bytes(), ids)
    if new is None:
        return 0
    storage.write(str(path), new[0])
    return new[1]


def _journal(journal: Journal, corpus: str, places: Sequence[str], ids: Ids, where: Settings) -> Iterator[Touched]:
    """Records on their way. Those of another job that still runs are its own: they are named and left."""
    events, sent = journal.events()
    said: dict[str, dict[str, Any]] = {"params": {}, "tags": {}}
    for event in events:
        said.get(event["kind"], {}).update(event.get("values", {}))
    if not _about(said["params"], said["tags"], corpus, places, where):
        return
    if journal.is_running():
        if journal.head["pid"] != os.getpid():
            yield Touched(str(journal.folder), "records of a job that still runs: when it is done, forget again", 0)
        return
    new = [without(event, ids) for event in events]
    if new != events:
        journal.rewrite(new, sent)
        changed = sum(json.dumps(a) != json.dumps(b) for a, b in zip(events, new, strict=True))
        yield Touched(str(journal.folder / "events.jsonl"), "records", changed)
    for name, count in _folder(journal.folder / "files", ids):
        yield Touched(str(journal.folder / "files" / name), "file", count)
