"""Which kernel answers, and its artifact: made once in a process of its own, before any worker starts.

An artifact lies in the model's folder, or, where that cannot be written or there is none, in the user's cache
(`XDG_CACHE_HOME`, else `~/.cache`, below `safelight/kernels`). A worker whose machine sees neither makes its own in its
cache, one at a time. What an artifact cannot do, falls back: bf16 to fp32, fp32 to the library that the model is for.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from jobs import children
from jobs.spec import SpecError
from vision import kernel, names
from vision.kernels import artifact
from vision.kernels.probe import Check
from vision.model import ONNX, Model
from vision.predictor import Asked

Log = Callable[[str], None]


def choose(model: Model, asked: Asked, wanted: str, precision: str, code: str | None, log: Log) -> Asked:
    """What is asked, with library, precision and artifact settled.

    Args:
        wanted: "auto", "openvino", "torch", "inductor" or "onnxruntime".
        precision: "auto" (fp32), "fp32", "bf16" or "bf16-only".
        code: folder of the user's own modules.

    Raises:
        SpecError: if the kernel cannot run such a model.
    """
    own = kernel.original(model)
    if wanted not in ("auto", "openvino", own, *([kernel.INDUCTOR] if own == "torch" else [])):
        raise SpecError(f"kernel: {wanted} cannot run {model.net}; it runs in {own}")
    if asked.views is not None and asked.views.dense and own != "torch":
        raise SpecError(f"dense: {own} answers pictures of one size only, and torch cannot run {model.net}")
    no_windows = asked.views is not None and not asked.views.crops
    if wanted == "openvino" and no_windows:
        raise SpecError("kernel: openvino answers pictures of one size only: leave it out, and torch answers --dense")
    if wanted == kernel.INDUCTOR and (no_windows or asked.embedding):
        raise SpecError("kernel: inductor answers whole nets and pictures of one size: leave it out, and torch answers")
    plain = asked.device != "cpu" or asked.embedding is not None or no_windows
    if wanted == "openvino" and plain:
        raise SpecError("kernel: openvino has no GPU and no layers here: leave it out, and torch answers")
    if wanted == "openvino" and not kernel.installed("openvino"):
        raise SpecError("kernel: openvino is not installed: pip install 'safelight[cpu]'")
    exact = "fp32" if precision == "auto" else precision
    if not plain and wanted in ("auto", "openvino") and wanted != own and kernel.installed("openvino"):
        return _compiled(replace(asked, precision=exact), model, code, log)
    return _original(asked, kernel.INDUCTOR if wanted == kernel.INDUCTOR else own, exact, log)


def _original(asked: Asked, own: str, precision: str, log: Log) -> Asked:
    if own == ONNX + "runtime" and precision != "fp32":
        log(f"kernel: onnxruntime has no {precision} here; fp32 answers instead")
        precision = "fp32"
    # torch answers no close call again: its bf16 is what others call bf16-only.
    return replace(asked, library=own, precision="fp32" if precision == "fp32" else "bf16-only", artifact=None)


def _compiled(asked: Asked, model: Model, code: str | None, log: Log) -> Asked:
    try:
        folder = ensured(model, asked.batch_size, code)
    except (OSError, ValueError) as error:
        log(f"kernel: no artifact of {model.net} ({error}); {kernel.original(model)} answers instead")
        return _original(asked, kernel.original(model), "fp32", log)
    for precision in dict.fromkeys((asked.precision, "fp32")):
        reason = artifact.fault(folder, precision)
        if reason is None:
            check = Check(**artifact.facts(folder)["checks"][precision])
            log(f"kernel: openvino {precision}, held against the original: {check}")
            return replace(asked, library="openvino", precision=precision, artifact=str(folder))
        log(f"kernel: not openvino {precision} for {model.net}: {reason}")
    return _original(asked, kernel.original(model), "fp32", log)


def here(model: Model, asked: Asked, code: str | None) -> Asked:
    """The same on this machine: an artifact that is not reachable is made in this machine's cache.

    Raises:
        ValueError: if it cannot be made, or does not pass its check here.
    """
    if asked.library == kernel.INDUCTOR:
        # Its own place is below the system's temporary files, which a restart empties.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(_cache() / "inductor"))
    if asked.artifact is None or artifact.facts(Path(asked.artifact)):
        return asked
    with _alone():
        folder = ensured(model, asked.batch_size, code)
    if (reason := artifact.fault(folder, asked.precision)) is not None:
        raise ValueError(f"{model.net} cannot be compiled on this machine: {reason}")
    return replace(asked, artifact=str(folder))


def ensured(model: Model, batch: int, code: str | None) -> Path:
    """The artifact of a model, made where there is none.

    Raises:
        OSError, ValueError: if no place takes it, or the model cannot be built.
    """
    places = [] if model.folder is None else [model.folder / "kernels"]
    name = artifact.name(model, batch, names.source_digest(code) if code else "")
    folders = [place / name for place in (*places, _cache())]
    for folder in folders:
        if artifact.facts(folder):
            return folder
    for folder in folders[:-1]:
        with contextlib.suppress(OSError):
            return _made(model, batch, folder, code)
    return _made(model, batch, folders[-1], code)


@contextlib.contextmanager
def _log_level_kept() -> Iterator[None]:
    """OpenVINO's converter raises the level of the root logger, and everybody's warnings would be lost."""
    before = logging.root.level
    try:
        yield
    finally:
        logging.root.setLevel(before)


def _made(model: Model, batch: int, folder: Path, code: str | None) -> Path:
    """Made in a process of its own, which takes torch's memory with it; here, if torch is loaded already."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if "torch" in sys.modules:
        if code:
            names.trust(code)
        with _log_level_kept():
            artifact.make(model, batch, folder)
        return folder
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from jobs.compiling import _child; _child()"],
        input=pickle.dumps((model, batch, folder, code)),
        env=children.environment(),
        capture_output=True,
        check=False,
    )
    if done.returncode or not artifact.facts(folder):
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise (OSError if done.returncode == _UNWRITABLE else ValueError)(said[-1] if said else "it was killed")
    return folder


_UNWRITABLE = 74


def _child() -> None:
    model, batch, folder, code = pickle.loads(sys.stdin.buffer.read())
    try:
        if code:
            names.trust(code)
        artifact.make(model, batch, folder)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(_UNWRITABLE if isinstance(error, OSError) else 1)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "safelight" / "kernels"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one worker of a machine make an artifact while the others wait for it."""
    _cache().mkdir(parents=True, exist_ok=True)
    with open(_cache() / ".lock", "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
