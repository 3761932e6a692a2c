"""Checkpoints: a folder each, whole once its `state.json` is there, the newest few kept, written beside the work.

`OUTPUT/checkpoints/step-<n>` holds the state before step n: weights, their average and the optimiser's memory as
safetensors, and a JSON of the rest with a sha256 of each file. Nothing in it can run code. The JSON is written last
and whole (a rename, or one PUT), so a folder without it is no checkpoint, and one that does not fit it is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs import storage

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

FOLDER, STATE = "checkpoints", "state.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """The state before a step: tensors by part (`weights`, `average`, `optimizer`), and plain facts."""

    step: int
    parts: Mapping[str, Tensors]
    facts: Mapping[str, Any]


def found(output: str, kind: str = "step") -> list[int]:
    """The steps of which there are checkpoints, the newest last; they may be damaged."""
    names = storage.files(storage.join(output, FOLDER), STATE)
    return sorted(int(name.split("/")[0].split("-")[1]) for name in names if name.startswith(kind + "-"))


def newest(output: str) -> Checkpoint | None:
    """The newest checkpoint that is whole; None if there is none."""
    for step in reversed(found(output)):
        try:
            return load(output, step)
        except (OSError, ValueError, KeyError) as error:
            _log.warning("the checkpoint of step %d is damaged (%s); an older one is taken", step, error)
    return None


def load(output: str, step: int, kind: str = "step") -> Checkpoint:
    """One checkpoint.

    Raises:
        ValueError: if a file is not the one that its state names.
        OSError: if one is missing.
    """
    from safetensors.torch import load as from_bytes

    folder = place(output, step, kind)
    state = json.loads(storage.read(storage.join(folder, STATE)))
    parts = {}
    for part, digest in state["files"].items():
        data = storage.read(storage.join(folder, f"{part}.safetensors"))
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(f"{folder}/{part}.safetensors is damaged")
        parts[part] = from_bytes(data)
    return Checkpoint(int(state["step"]), parts, state["facts"])


def place(output: str, step: int, kind: str = "step") -> str:
    """The folder of a checkpoint."""
    return storage.join(output, FOLDER, f"{kind}-{step:08d}")


def write(output: str, checkpoint: Checkpoint, kind: str = "step") -> None:
    """Write a checkpoint whole."""
    from safetensors.torch import save

    folder, digests = place(output, checkpoint.step, kind), {}
    # What stood there before must not pass for whole while its files change.
    storage.remove(storage.join(folder, STATE))
    for part, tensors in checkpoint.parts.items():
        data = save(dict(tensors))
        digests[part] = hashlib.sha256(data).hexdigest()
        storage.write(storage.join(folder, f"{part}.safetensors"), data)
    state = {"step": checkpoint.step, "files": digests, "facts": checkpoint.facts}
    storage.write(storage.join(folder, STATE), json.dumps(state).encode())


def discard(output: str, step: int, kind: str = "step") -> None:
    """Remove a checkpoint, its state first."""
    folder = place(output, step, kind)
    storage.remove(storage.join(folder, STATE))
    for name in storage.files(folder):
        storage.remove(storage.join(folder, name))
    if not storage.is_s3(folder):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def best_of(output: str, step: int) -> int | None:
    """The step whose weights were the best so far when a checkpoint was written."""
    state = json.loads(storage.read(storage.join(place(output, step), STATE)))
    best = state["facts"].get("best")
    return int(best["step"]) if best else None


class Keeper:
    """Writes checkpoints one after the other in a thread, and keeps the newest `keep` and the best."""

    def __init__(self, output: str, keep: int) -> None:
        self._output, self._keep = output, keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, checkpoint: Checkpoint, best: Checkpoint | None = None) -> None:
        """Begin to write a checkpoint, and before it the best weights where they are new.

        Tensors must not change any more. Returns as soon as the one before is written.

        Raises:
            OSError: if that could not be.
        """
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(checkpoint, best), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until what was begun is written.

        Raises:
            OSError: if it could not be.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _write(self, checkpoint: Checkpoint, best: Checkpoint | None) -> None:
        try:
            if best is not None:
                write(self._output, best, "best")
            write(self._output, checkpoint)
            for step in found(self._output)[: -self._keep]:
                discard(self._output, step)
            named = {best_of(self._output, step) for step in found(self._output)}
            for step in set(found(self._output, "best")) - named:
                discard(self._output, step, "best")
        except BaseException as error:
            self._error = error
