"""Model folders in MLflow's registry, and back; `cluster.packing` says in what form."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from cluster import packing
from cluster.client import connect
from cluster.settings import Settings, quiet_mlflow
from jobs.spec import JobFailed, SpecError

if TYPE_CHECKING:
    from vision.model import Model

MODEL_FOLDER = "model"
_REFERENCE = re.compile(r"(?:models:/[^/@]+(?:@[^/@]+|/\d+)|runs:/[0-9a-f]{32}(?:/.+)?)$")


def is_reference(reference: str) -> bool:
    """Whether a model is named as MLflow's (`models:/...`, `runs:/...`)."""
    return reference.startswith(("models:/", "runs:/"))


def split_name(name: str) -> tuple[str, str | None]:
    """NAME[@ALIAS] as a name and an alias.

    Raises:
        SpecError: if it is neither.
    """
    match = re.fullmatch(r"([^/:@\s][^/:@]*)(?:@([A-Za-z][\w-]*))?", name)
    if match is None:
        raise SpecError(f"{name!r} is not NAME or NAME@ALIAS for the registry")
    return match[1], match[2]


def register(client: Any, run_id: str, folder: str, name: str) -> str:
    """Put a model folder into a run and the registry.

    Args:
        client: an MlflowClient.
        name: NAME[@ALIAS].

    Returns:
        `models:/NAME@ALIAS`, or `models:/NAME/VERSION` without alias.

    Raises:
        JobFailed: if the folder cannot be packed.
    """
    from mlflow.exceptions import MlflowException

    model, alias = split_name(name)
    with tempfile.TemporaryDirectory(prefix="safelight-model-") as place:
        packed = Path(place) / MODEL_FOLDER
        packing.beside(Path(folder), packed)
        client.log_artifacts(run_id, str(packed), MODEL_FOLDER)
    try:
        client.create_registered_model(model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
    made = client.create_model_version(model, source, run_id)
    if alias is None:
        return f"models:/{model}/{made.version}"
    client.set_registered_model_alias(model, alias, made.version)
    return f"models:/{model}@{alias}"


def fetch(reference: str, settings: Settings) -> Model:
    """The model that `models:/NAME@ALIAS`, `models:/NAME/3` or `runs:/ID/model` names, fetched once.

    Raises:
        SpecError: if it is written otherwise.
        JobFailed: if MLflow has no such model, or one that safelight did not register.
    """
    from vision.model import load

    if not _REFERENCE.match(reference):
        raise SpecError(f"{reference} is not models:/NAME@ALIAS, models:/NAME/3 or runs:/ID/model")
    return load(_inner(_download(reference, settings), reference))


def _download(reference: str, settings: Settings) -> Path:
    quiet_mlflow()
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        source = _source(connect(settings), reference)
        cache = settings.state / "models" / hashlib.sha256(source.encode()).hexdigest()[:16]
        if not (cache / "done").exists():
            cache.mkdir(parents=True, exist_ok=True)
            found = download_artifacts(source, dst_path=str(cache), tracking_uri=settings.tracking_uri)
            # Written last: a download that was cut short is made again.
            (cache / "done").write_text(str(Path(found).relative_to(cache)))
    except (MlflowException, OSError) as error:
        raise JobFailed(f"{reference} cannot be had from MLflow: {str(error).splitlines()[0]}") from None
    return cache / (cache / "done").read_text()


def _source(client: Any, reference: str) -> str:
    """The address of the files, which never change; an alias may."""
    if reference.startswith("runs:/"):
        run_id, _, path = reference.removeprefix("runs:/").partition("/")
        return f"{client.get_run(run_id).info.artifact_uri}/{path or MODEL_FOLDER}"
    name, mark = re.split(r"[@/]", reference.removeprefix("models:/"), maxsplit=1)
    if "@" in reference:
        mark = str(client.get_model_version_by_alias(name, mark).version)
    return str(client.get_model_version_download_uri(name, mark))


def _inner(packed: Path, reference: str) -> Path:
    """The model folder inside MLflow's."""
    try:
        flavour = yaml.safe_load((packed / "MLmodel").read_text())["flavors"]["python_function"]
        inner: Path = packed / flavour["artifacts"]["model"]["path"]
    except (OSError, KeyError, TypeError):
        raise JobFailed(f"{reference} was not registered by safelight: it holds no model folder") from None
    if not (inner / "model.json").exists():
        raise JobFailed(f"{reference} holds no model.json")
    return inner
