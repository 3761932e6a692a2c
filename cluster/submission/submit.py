"""`submit`: a job to the cluster, under a name that makes the same submission one job."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cluster import provenance
from cluster.settings import Settings, settings
from cluster.submission import naming, parcel, preflight
from cluster.submission.server import Server, connect
from jobs.spec import Job, SpecError

_NONE: Mapping[str, str] = MappingProxyType({})

LIVING = ("PENDING", "RUNNING")


@dataclass(frozen=True)
class Wishes:
    """How a job is to be run there.

    Attributes:
        owner: for whom; the name of the user without one.
        queue, priority: Kueue's, recorded with the job; they decide where manifests do.
        retries: how often a driver that is killed is begun again.
        max_gpus: no more workers than so many GPUs allow.
        driver_cpus: CPUs that the driver reserves; workers then have to be told.
        driver_memory_gb: memory that it reserves.
        credentials: send the keys of S3 and MLflow that are set here.
        env: further variables to send; they count as secret.
    """

    owner: str = ""
    queue: str = ""
    priority: str = ""
    retries: int = 3
    max_gpus: float | None = None
    driver_cpus: float = 0.0
    driver_memory_gb: float = 0.0
    credentials: bool = False
    env: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """A job as it would be sent: what `--dry-run` shows."""

    job: Job
    base: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]
    told: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True)
class Sent:
    """What came of sending: the submission's name, and the state of one that was there already, or None."""

    name: str
    found: str | None = None


def submit(
    job: Job, *, key: str = "", labels: Mapping[str, str] = _NONE, tags: Mapping[str, str] = _NONE,
    wishes: Wishes | None = None, where: Settings | None = None, say: Callable[[str], None] = lambda _line: None,
) -> str:  # fmt: skip
    """Send a job to the cluster at RAY_ADDRESS.

    Args:
        key: tells two submissions of one job apart, for example a night's date.
        labels: facts to find it by in `safelight jobs`, and tags `safelight.label.NAME` of its runs.
        tags: tags that its runs get, by their whole names.
        say: takes warnings.

    Returns:
        The submission's name. One that runs or succeeded is not sent again.

    Raises:
        SpecError: if what is asked cannot be.
        JobFailed: if the cluster cannot be reached or the job cannot do its work there; within half a minute.
    """
    where = where or settings()
    prepared = prepare(job, key=key, labels=labels, tags=tags, wishes=wishes or Wishes(), where=where)
    return send(prepared, connect(where.ray_address), where, say).name


def prepare(
    job: Job, *, key: str, labels: Mapping[str, str], tags: Mapping[str, str], wishes: Wishes, where: Settings
) -> Submission:
    """All that is decided before a server is asked.

    Raises:
        SpecError: if what is asked cannot be.
    """
    job = _within(parcel.placed(job), wishes)
    owner = wishes.owner or provenance.user()
    metadata = {
        "safelight.job": provenance.job_name(job), "safelight.owner": owner, "safelight.key": key,
        "safelight.queue": wishes.queue, "safelight.priority": wishes.priority,
        "safelight.title": provenance.title(job), **_labels(labels),
    }  # fmt: skip
    told, secret = parcel.variables(os.environ, where, wishes.credentials, wishes.env)
    kept = {name: parcel.hidden(value, secret) for name, value in metadata.items() if value}
    found = {name: parcel.hidden(value, secret) for name, value in {**tags, **_labels(labels)}.items()}
    return Submission(job, naming.base(job, key), kept, found, told, secret, replace(wishes, owner=owner))


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {f"safelight.label.{name}": value for name, value in labels.items()}


def _within(job: Job, wishes: Wishes) -> Job:
    """The job with no more workers than GPUs, and room for its driver."""
    workers, each = getattr(job, "workers", None), float(getattr(job, "gpus_per_worker", 0.0))
    if wishes.driver_cpus and workers is None and "workers" in type(job).model_fields:
        raise SpecError(
            "--driver-cpus: say --workers too, since without it workers take every CPU, the driver's among them"
        )
    if wishes.max_gpus is None or not each:
        return job
    most = math.floor(wishes.max_gpus / each)
    if most == 0:
        raise SpecError(f"--max-gpus {wishes.max_gpus:g} is less than one worker takes (--gpus-per-worker {each:g})")
    return job.model_copy(update={"workers": most if workers is None else min(workers, most)})


def send(submission: Submission, server: Server, where: Settings, say: Callable[[str], None]) -> Sent:
    """Send what was prepared, unless it runs or is done.

    Raises:
        JobFailed: if it cannot be.
    """
    number, last = 1, server.find(submission.base)
    while last is not None and (following := server.find(naming.attempt(submission.base, number + 1))) is not None:
        number, last = number + 1, following
    if last is not None:
        state, name = str(last.status.value), naming.attempt(submission.base, number)
        if state in (*LIVING, "SUCCEEDED"):
            return Sent(name, state)
        number += 1
    here = preflight.check(submission.job, server, where, say)
    name = naming.attempt(submission.base, number)
    order = parcel.Order(
        submission.metadata["safelight.job"], name, submission.wishes.owner, submission.wishes.retries,
        submission.tags, str(where.home) if here else None, server.session,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="safelight-submit-") as place:
        parcel.pack(Path(place), submission.job, order, submission.secret)
        _send(server, name, submission, Path(place))
    return Sent(name)


def _send(server: Server, name: str, submission: Submission, folder: Path) -> None:
    # Ray would leave out what a .gitignore in the code names, and tell of every upload.
    os.environ.setdefault("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    for logger in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    wishes = submission.wishes
    reserved: dict[str, Any] = {}
    if wishes.driver_cpus:
        reserved["entrypoint_num_cpus"] = wishes.driver_cpus
    if wishes.driver_memory_gb:
        reserved["entrypoint_memory"] = int(wishes.driver_memory_gb * 2**30)
    server.send(
        submission_id=name,
        entrypoint=parcel.entrypoint(submission.job),
        runtime_env=parcel.runtime_environment(folder, submission.told, bool(submission.secret)),
        metadata=dict(submission.metadata),
        **reserved,
    )
