"""Encoded pictures to labels: as every example does it, and with safelight's own parts inside a peer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.bulk.task import Task

Answers = dict[str, Any]
"""`label` (N,) int32 and `score` (N,) float32."""


class Answering(Protocol):
    """The two halves that peers spread over processes as they like."""

    def pixels(self, data: bytes) -> Any:
        """One file decoded and made ready."""
        ...

    def labels(self, pixels: Sequence[Any]) -> Answers:
        """The answers to some pictures; the task's progress is noted."""
        ...


def answering(task: Task) -> Answering:
    """What the task asks for."""
    return Ours(task) if task.kernel == "ours" else Theirs(task)


def answer(found: Answering, images: Sequence[bytes]) -> Answers:
    """Both halves in one process."""
    return found.labels([found.pixels(data) for data in images])


class Theirs:
    """Pillow, torchvision's transforms, eager float32: the documentation of every peer."""

    def __init__(self, task: Task) -> None:
        import torch
        from torchvision import transforms

        from vision.model import load

        torch.set_num_threads(1)
        self._task, model = task, load(task.model)
        look = model.preprocessing
        self._net = model.build()
        self._transform = transforms.Compose([
            transforms.Resize(look.resize),
            transforms.CenterCrop(look.crop),
            transforms.ToTensor(),
            transforms.Normalize(look.mean, look.std),
        ])  # fmt: skip

    def pixels(self, data: bytes) -> Any:
        from PIL import Image

        return self._transform(Image.open(io.BytesIO(data)).convert("RGB"))

    def labels(self, pixels: Sequence[Any]) -> Answers:
        import torch

        with torch.inference_mode():
            inputs = torch.stack([torch.as_tensor(one) for one in pixels])
            scores, labels = torch.softmax(self._net(inputs), 1).max(1)
        self._task.note(len(pixels))
        return {"label": labels.numpy().astype(np.int32), "score": scores.numpy()}


class Ours:
    """safelight's decoder and the kernel that `safelight run predict` would choose, without its engine."""

    def __init__(self, task: Task) -> None:
        from tests.benchmarks.bulk.choice import chosen
        from vision import names

        self._task, (model, asked) = task, chosen(task.model, task.precision)
        self._load = model.preprocessing.load
        self._predictor = names.room(model.task).predictor(model, asked)

    def pixels(self, data: bytes) -> Any:
        return self._load(data)

    def labels(self, pixels: Sequence[Any]) -> Answers:
        table = self._predictor.answer(pixels, np.full(len(pixels), -1, np.int64))
        self._task.note(len(pixels))
        return {"label": table["label"].to_numpy().astype(np.int32), "score": table["score"].to_numpy()}


def write(task: Task, ids: Sequence[str], parts: Sequence[Answers]) -> None:
    """All answers as one file, for peers that have no writer of their own."""
    import os

    os.makedirs(task.output)
    columns = {name: np.concatenate([part[name] for part in parts]) for name in ("label", "score")}
    pq.write_table(pa.table({"id": list(ids), **columns}), f"{task.output}/answers.parquet")
