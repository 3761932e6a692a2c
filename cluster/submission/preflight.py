"""What can be known before a job is sent: that it can be read, written and recorded from where it will run.

Each finding is one line. What stops the job there would stop it here within seconds; what only this machine may not
see (a model's name in code that travels, a path of the cluster's own) is left to the cluster, or warned of.
"""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pyarrow.fs as pafs

from cluster import reach
from cluster.masking import masked
from cluster.registry import is_reference
from cluster.settings import Settings
from cluster.submission.parcel import local_paths
from cluster.submission.server import Server
from jobs import storage
from jobs.spec import Job, JobFailed

Say = Callable[[str], None]


def check(job: Job, server: Server, where: Settings, say: Say) -> bool:
    """Nothing, if the job has a chance; returns whether the cluster is this machine alone.

    Args:
        job: with absolute paths.
        say: takes warnings.

    Raises:
        JobFailed: one line that names the cause, within half a minute.
    """
    if server.ray != version("ray"):
        raise JobFailed(
            f"the cluster at {server.url} has Ray {server.ray}, and here is {version('ray')}: must be equal"
        )
    here = server.nodes() == [platform.node()]
    _records(job, where, here)
    _readable(job, here)
    for reference in _words(job, "model"):
        _model(reference, where, here)
    _writable(job, here)
    if not here:
        for path in local_paths(job):
            say(f"warning: {path} is a path of this machine; every machine of {server.url} must see the same there")
    return here


def _records(job: Job, where: Settings, here: bool) -> None:
    if not job.tracked:
        return
    if where.database is not None and not here:
        raise JobFailed(
            "MLflow is a file of this machine, which the cluster cannot see: set MLFLOW_TRACKING_URI to a server"
        )
    reach.check(where)


def _words(job: Job, name: str) -> list[str]:
    value = getattr(job, name, None) or ()
    return [value] if isinstance(value, str) else list(value)


def _readable(job: Job, here: bool) -> None:
    """The corpus, where one is read: a job that has a source makes it."""
    if hasattr(job, "source"):
        return
    for corpus in [one.partition("@")[0] for one in _words(job, "corpus")]:
        if _sees(corpus, here) and not _there(storage.join(corpus, "corpus.json")):
            raise JobFailed(f"corpus: there is no corpus.json in {masked(corpus)}")


def _model(reference: str, where: Settings, here: bool) -> None:
    """A model that is named in code is built on the cluster only, where the code will be."""
    if is_reference(reference):
        _registered(reference, where)
    elif here or not reference.startswith("/"):
        from vision.model import load

        load(reference)


def _registered(reference: str, where: Settings) -> None:
    from cluster.client import connect

    client = connect(where)
    kind, _, name = reference.partition(":/")
    try:
        if kind == "runs":
            client.get_run(name.strip("/").split("/")[0])
        elif "@" in name:
            client.get_model_version_by_alias(*name.split("@", 1))
        else:
            client.get_model_version(*name.split("/", 1))
    except Exception as error:
        raise JobFailed(f"model: MLflow has no {reference}: {str(error).splitlines()[0]}") from None


def _writable(job: Job, here: bool) -> None:
    """Where answers go: by name, or beside the corpus."""
    places = _words(job, "output") or _words(job, "corpus")
    for place in [one.partition("@")[0] for one in places if _sees(one, here)]:
        if storage.is_s3(place):
            _marked(place)
        elif not os.access(_nearest(Path(place)), os.W_OK):
            raise JobFailed(f"{place} cannot be written")


def _nearest(path: Path) -> Path:
    """The path, or the folder in which it would be made."""
    return path if path.exists() else next(parent for parent in path.parents if parent.exists())


def _marked(place: str) -> None:
    """Write an object there and delete it."""
    bucket = "s3://" + place.removeprefix("s3://").split("/", 1)[0]
    marker = f"{place if place != bucket else bucket}/.safelight-may-write-{uuid.uuid4().hex}"
    _there(place)
    try:
        storage.write(marker, b"")
        storage.remove(marker)
    except OSError as error:
        raise JobFailed(f"{masked(place)} cannot be written: {_reason(error)}") from None


def _there(url: str) -> bool:
    """Whether there is such a file; of S3, also that there is the bucket."""
    try:
        if storage.is_s3(url):
            bucket = "s3://" + url.removeprefix("s3://").split("/", 1)[0]
            if storage.info(bucket).type == pafs.FileType.NotFound:
                raise JobFailed(f"{masked(url)}: there is no bucket {bucket}")
        return storage.exists(url)
    except OSError as error:
        raise JobFailed(f"{masked(url)} cannot be read: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    """S3's own words, without Arrow's about them."""
    text = " ".join(str(error).split())
    known = {"ExpiredToken": "the credentials have expired", "InvalidAccessKeyId": "S3 does not know this key",
             "SignatureDoesNotMatch": "the secret key is wrong", "ACCESS_DENIED": "access is denied",
             "AccessDenied": "access is denied", "NETWORK_CONNECTION": "S3 does not answer"}  # fmt: skip
    found = [words for word, words in known.items() if word in text]
    return f"{found[0]} ({masked(text)[:300]})" if found else masked(text)[:400]


def _sees(place: str, here: bool) -> bool:
    return storage.is_s3(place) or (here and place.startswith("/"))
