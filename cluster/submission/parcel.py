"""What travels with a job: this package, the user's code, the spec, addresses, and credentials only when asked for.

The addresses of MLflow and S3 travel as variables that anyone on the cluster may read. What is secret travels only by
`--credentials` (the usual keys of S3 and MLflow) and `--env NAME`, in a file of the job's package: Ray's records of a
job show its variables, but not its files. Better is a cluster that has keys of its own, for then none travel.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from cluster import provenance
from cluster.masking import masked
from cluster.settings import Settings
from jobs import storage
from jobs.spec import Job, SpecError

ADDRESSES = (
    "MLFLOW_EXPERIMENT_NAME", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION",
    "AWS_DEFAULT_REGION",
)  # fmt: skip
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
)  # fmt: skip
PLACES = ("corpus", "output")
"""Fields that are always a place, whether or not something is there yet."""

PATHS = (
    "model", "predictions", "outputs", "source", "table", "join", "ids", "groups", "weights", "onnx", "code", "cells",
    "against", "train_predictions", "test_predictions", "reference",
)  # fmt: skip
"""Fields that are a local path if there is such a file here."""

CODE, SPEC, ORDER, SECRETS = "code", "spec.yaml", "submission.json", "credentials.json"
"""What the files of a package are called."""

HOOK = "cluster.submission.there.take_credentials"
STOP_WAIT_S = 60
"""Seconds a stopped driver has to let go and say so to MLflow; Ray's own default is 3."""


@dataclass(frozen=True)
class Order:
    """What the driver on the cluster is told beside the spec.

    Attributes:
        job, name, owner: the job's word, the submission's name, and for whom.
        retries: how often a driver that is killed is started again.
        tags: facts that the runs get, by their whole names.
        home: where records that MLflow did not take are kept on the driver's machine; None: below its home folder.
        python, ray: versions that the cluster must have.
        session: the cluster that this was sent to.
    """

    job: str
    name: str
    owner: str
    retries: int
    tags: Mapping[str, str]
    home: str | None
    session: str
    python: str = field(default_factory=lambda: ".".join(platform.python_version_tuple()[:2]))
    ray: str = field(default_factory=lambda: version("ray"))

    def to_json(self) -> str:
        return json.dumps({**asdict(self), "tags": dict(self.tags)}, indent=1)

    @classmethod
    def read(cls, folder: Path) -> Order:
        return cls(**json.loads((folder / ORDER).read_text()))


def placed(job: Job) -> Job:
    """The job with its local paths made absolute, so that it means the same from anywhere.

    >>> from jobs.predict import Predict
    >>> placed(Predict(corpus="s3://a/b", model=("nets.lenet:lenet5",), output="/p/q/")).output
    '/p/q'
    """
    changed = {}
    for name in type(job).model_fields:
        value = getattr(job, name)
        if isinstance(value, str) and value:
            changed[name] = _absolute(name, value)
        elif isinstance(value, tuple) and name in (*PLACES, *PATHS):
            changed[name] = tuple(_absolute(name, one) for one in value)  # type: ignore[assignment]
    return job.model_copy(update=changed)


def _absolute(name: str, value: str) -> str:
    if "://" in value or value.startswith(("models:/", "runs:/")):
        return value
    known = name in PATHS or "/" in value
    return storage.absolute(value) if name in PLACES or (known and os.path.exists(value)) else value


def local_paths(job: Job) -> list[str]:
    """The local paths of a job whose paths are absolute, but for its code, which travels."""
    values = [(name, value) for name, value in job.model_dump(mode="json").items() if name != "code"]
    flat = [(name, one) for name, value in values for one in (value if isinstance(value, list) else [value])]
    named = [one for name, one in flat if isinstance(one, str) and (name in (*PLACES, *PATHS) or os.path.exists(one))]
    return sorted({one for one in named if one.startswith("/")})


def variables(
    environment: Mapping[str, str], where: Settings, credentials: bool, names: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """(variables that may be read by anyone, secret ones) for the cluster.

    Args:
        credentials: whether the usual keys travel.
        names: further variables that the user names; they count as secret.

    Raises:
        SpecError: if a named one is not set, or an address holds a password that may not travel.
    """
    missing = [name for name in names if name not in environment]
    if missing:
        raise SpecError(f"--env {missing[0]}: this variable is not set here")
    secret = {name: environment[name] for name in names}
    if credentials:
        secret |= {name: environment[name] for name in CREDENTIALS if environment.get(name)}
    told = {"MLFLOW_TRACKING_URI": where.tracking_uri}
    told |= {name: environment[name] for name in ADDRESSES if environment.get(name) and name not in secret}
    for name in [name for name, value in told.items() if masked(value, {}) != value]:
        if not credentials:
            raise SpecError(f"{name} holds a password: give --credentials to send it to the cluster")
        secret[name] = told.pop(name)
    return told, secret


def hidden(text: str, secret: Mapping[str, str]) -> str:
    """A text for people and records: without what travels as a secret, nor anything else that looks like one."""
    for value in secret.values():
        text = text.replace(value, "***") if len(value) >= 6 else text
    return masked(text)


def pack(folder: Path, job: Job, order: Order, secret: Mapping[str, str]) -> None:
    """Write the files of a job's package into an empty folder."""
    fields = yaml.safe_load(job.to_yaml()) or {}
    if code := getattr(job, "code", None):
        shutil.copytree(code, folder / CODE, ignore=shutil.ignore_patterns("__pycache__", ".git", ".safelight"))
        # Workers and driver stand in their copy of the package.
        fields["code"] = CODE
    (folder / SPEC).write_text(yaml.safe_dump({"job": provenance.job_name(job), **fields}, sort_keys=False))
    (folder / ORDER).write_text(order.to_json())
    if secret:
        path = folder / SECRETS
        path.touch(mode=0o600)
        path.write_text(json.dumps(dict(secret)))


def runtime_environment(folder: Path, told: Mapping[str, str], secret: bool) -> dict[str, Any]:
    """Ray's runtime environment for a packed job: the three packages of safelight beside it."""
    import cluster
    import jobs
    import vision

    found: dict[str, Any] = {
        "working_dir": str(folder),
        "py_modules": [str(Path(package.__path__[0])) for package in (vision, jobs, cluster)],
        "excludes": ["__pycache__", "*.pyc"],
        "env_vars": {**told, "RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)},
    }
    return {**found, "worker_process_setup_hook": HOOK} if secret else found


def entrypoint(job: Job) -> str:
    """What runs on the cluster: `safelight run JOB spec.yaml`, watched over by `cluster.submission.there`."""
    return f"exec python -m cluster.submission.there run {provenance.job_name(job)} {SPEC}"
