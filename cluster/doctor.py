"""`safelight doctor`: what this machine has, what its servers answer, and what is missing for what."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import click

PACKAGES = ("torch", "torchvision", "ray", "mlflow", "pyarrow", "pillow", "duckdb")
OPTIONAL = {
    "onnxruntime": "ONNX models (extra [cpu])",
    "timm": "timm's nets",
    "pillow_heif": "HEIC pictures",
    "efficientnet_lite_pytorch": "the demo's net (extra [demo])",
}


@click.command()
def doctor() -> None:
    """Say what this machine and its servers can do."""
    for name, value in _facts():
        click.echo(f"{name:<20} {value}")


def _facts() -> Iterator[tuple[str, str]]:
    import psutil

    yield "python", platform.python_version()
    yield "cpus", str(len(os.sched_getaffinity(0)))
    yield "memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB"
    yield "disk here", f"{shutil.disk_usage('.').free / 2**30:.1f} GiB free"
    for package in PACKAGES:
        yield package, _version(package) or "missing: install safelight again"
    for package, purpose in OPTIONAL.items():
        yield package, _version(package) or f"not installed, needed for {purpose}"
    yield "gpus", _gpus()
    yield from _servers()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpus() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none"
    return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))


def _servers() -> Iterator[tuple[str, str]]:
    from cluster import reach
    from cluster.masking import masked
    from cluster.settings import settings
    from jobs.spec import JobFailed

    where = settings()
    yield "ray cluster", os.environ.get("RAY_ADDRESS") or "local: started on this machine when a job needs it"
    try:
        reach.check(where)
        state = "answers"
    except JobFailed as error:
        state = str(error)
    yield "mlflow server", f"{masked(where.tracking_uri)}: {state}"
    yield "s3", os.environ.get("AWS_ENDPOINT_URL") or "the cloud's own, with the keys of the environment"
