"""A model folder as MLflow's own: a pyfunc model "from code", with nothing pickled.

Its folder, the script `cluster/pyfunc.py` and the package `vision` lie beside each other, so that
`mlflow.pyfunc.load_model` works where safelight is not installed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cluster.settings import quiet_mlflow
from jobs import children
from jobs.spec import JobFailed

_NEEDED = ("mlflow", "numpy", "pandas", "pillow", "pyarrow", "safetensors", "scipy", "torch", "torchvision")
_EXTRA = {"timm:": "timm", "onnx": "onnxruntime", "efficientnet_lite": "efficientnet-lite-pytorch"}
"""Packages that only some nets need, by what their names contain."""


def beside(folder: Path, target: Path) -> None:
    """`pack` in a process of its own: who speaks to MLflow goes without pandas (`cluster.aside`), and this needs it.

    Raises:
        JobFailed: with the last line that the process said, if it failed.
    """
    words = [sys.executable, "-P", "-m", "cluster.packing", str(folder), str(target)]
    done = subprocess.run(words, env=children.environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise JobFailed(f"{folder} cannot be packed for MLflow: {said[-1] if said else done.returncode}")


def pack(folder: Path, target: Path) -> None:
    """A model folder as MLflow's own model folder at `target`, which must not exist."""
    quiet_mlflow()
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    import vision

    with warnings.catch_warnings():
        # It asks for an example of the input, which would be a picture of somebody's.
        warnings.filterwarnings("ignore", message=".*input example.*")
        mlflow.pyfunc.save_model(
            path=str(target),
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"model": str(folder.resolve())},
            code_paths=[str(Path(vision.__file__).parent)],
            pip_requirements=[f"{name}=={found}" for name in _needed(folder) if (found := _version(name))],
            signature=ModelSignature(Schema([ColSpec(DataType.binary, "image")])),
        )


def _needed(folder: Path) -> list[str]:
    """The packages that a model's net needs wherever it is loaded."""
    net = json.loads((folder / "model.json").read_text())["net"]
    return [*_NEEDED, *(package for mark, package in _EXTRA.items() if mark in net)]


def _version(package: str) -> str | None:
    try:
        return version(package).split("+")[0]
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
