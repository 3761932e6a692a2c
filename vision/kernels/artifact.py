"""A model compiled once: OpenVINO's graph of it in a folder, with what a check against the original found.

`KERNELS/openvino-<version>-batch-<B>-<key>/` holds `net.xml` and `net.bin` (uint8 pixels (B, h, w, 3) in, float32
logits out, mean, standard deviation and channel order inside), `single.xml` and `single.bin` (the same for one
picture) and `kernel.json` (digest, versions, checks). Weights are float32: precision is chosen when a worker compiles
the graph for its CPU, so one artifact serves all. There is no softmax inside, because calibration, --keep-logits and
log-scores need logits, and over 1,000 classes it costs a hundredth of a millisecond.

The folder appears whole, by a rename; whoever comes second throws its own away.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vision.accumulator import Array
from vision.kernels import probe
from vision.kernels.eager import Torch
from vision.kernels.graph import Onnx
from vision.kernels.openvino import NET, SINGLE, OpenVino, core, library
from vision.kernels.probe import Check
from vision.model import ONNX, Model

FORMAT = 1
FACTS = "kernel.json"
_tracing = threading.Lock()
"""torch traces one net at a time in a process."""

PRECISIONS = ("fp32", "bf16", "bf16-only")


def name(model: Model, batch: int, code: str = "") -> str:
    """The folder's name: library, batch and what decides the graph (model digest, the user's code, this format)."""
    key = hashlib.sha256(f"{FORMAT} {model.digest} {code}".encode()).hexdigest()
    return f"openvino-{version('openvino')}-batch-{batch}-{key[:16]}"


def facts(folder: Path) -> Mapping[str, Any]:
    """What `kernel.json` says; empty if there is no whole artifact of this format."""
    try:
        found = json.loads((folder / FACTS).read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) and found.get("format") == FORMAT else {}


def fault(folder: Path, precision: str) -> str | None:
    """Why the artifact cannot be used in a precision, or None."""
    found = facts(folder)
    if not found:
        return "there is no artifact"
    if "failed" in found:
        return str(found["failed"])
    check = found["checks"].get(precision)
    if check is None:
        return "the CPU that checked it has no bfloat16"
    return Check(**check).fault(precision)


def make(model: Model, batch: int, folder: Path) -> None:
    """Compile a model into `folder`, check it, and write both down; a failure is written down as well.

    Loads torch (for an ONNX model: ONNX Runtime, if there) and takes some 5 s, most of it to load it.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        found = {
            "format": FORMAT,
            "model": model.digest,
            "batch": batch,
            **_versions(),
            **_made(model, batch, temporary),
        }
        (temporary / FACTS).write_text(json.dumps(found, indent=1) + "\n")
        temporary.chmod(0o755)
        if folder.exists() and not facts(folder):
            shutil.rmtree(folder)  # damaged
        os.rename(temporary, folder)
    except OSError:
        if not facts(folder):
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _made(model: Model, batch: int, folder: Path) -> dict[str, Any]:
    net = None if model.net == ONNX else model.build()
    try:
        for file, count in ((NET, batch), (SINGLE, 1)):
            graph = _normalising(_converted(model, net, count), model)
            library().save_model(graph, folder / file, compress_to_fp16=False)
        return {"checks": _checks(model, batch, folder)}
    except Exception as error:
        # Converters fail with types of their own on nets that they cannot read; the model still runs without them.
        reason = next(iter(str(error).strip().splitlines()), "")
        return {"failed": f"it could not be compiled: {type(error).__name__} {reason}"}


def _converted(model: Model, net: Any, batch: int) -> Any:
    """OpenVINO's graph: (batch, 3, h, w) float32 in, (batch, K) logits out."""
    shape = [batch, 3, *model.preprocessing.size]
    openvino = library()
    if net is None:
        assert model.folder is not None
        graph = core().read_model(model.folder / "model.onnx")
        graph.reshape({graph.inputs[0]: shape})
    else:
        import torch

        with _tracing, warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            graph = openvino.convert_model(net, example_input=torch.zeros(shape), input=[tuple(shape)])
    logits = graph.outputs[0].partial_shape
    if len(graph.inputs) != 1 or logits.rank.get_length() != 2 or logits[0] != batch:
        raise RuntimeError(f"its graph gives {logits} for a batch of {batch}")
    return graph


def _normalising(graph: Any, model: Model) -> Any:
    """The graph with uint8 (B, h, w, 3) pixels as its input."""
    openvino = library()
    steps = openvino.preprocess.PrePostProcessor(graph)
    entry = steps.input(0)
    entry.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    entry.model().set_layout(openvino.Layout("NCHW"))
    chain = entry.preprocess().convert_element_type(openvino.Type.f32)
    chain = chain.reverse_channels() if model.preprocessing.order == "BGR" else chain
    chain.mean([255 * m for m in model.preprocessing.mean]).scale([255 * s for s in model.preprocessing.std])
    return steps.build()


def _checks(model: Model, batch: int, folder: Path) -> dict[str, Any]:
    pictures = probe.pictures(model.preprocessing.size)
    eager = Onnx(model, batch) if model.net == ONNX else Torch(model, "cpu", batch, fold=False)
    original = _all(eager, pictures, batch)
    bf16 = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    checks = {}
    for precision in PRECISIONS if bf16 else PRECISIONS[:1]:
        logits = _all(OpenVino(folder, batch, precision), pictures, batch)
        checks[precision] = Check.of(precision, logits, original).to_dict()
    return checks


def _all(run: Any, pictures: Array, batch: int) -> Array:
    return np.concatenate([run(pictures[start : start + batch])[0] for start in range(0, len(pictures), batch)])


def _versions() -> dict[str, str]:
    found = {}
    for library_name in ("openvino", "torch", "onnxruntime"):
        try:
            found[library_name] = version(library_name)
        except PackageNotFoundError:
            continue
    return found
