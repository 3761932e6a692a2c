"""Ray Data: as its documentation on batch inference shows it, and fused for safelight's kernel.

The documented shape reads images into arrays, maps a transform over rows and holds the net in an actor; the actor
takes one core and the tasks the other. With our kernel one stage does all, in an actor for each core; an actor takes
less than half a core on paper, because actors that hold every core leave none to read with and the job hangs.
"""

from __future__ import annotations

import os
from typing import Any

import ray

from tests.benchmarks.bulk.answering import answer, answering
from tests.benchmarks.bulk.task import Task, from_arguments

Batch = dict[str, Any]


class Net:
    """The documented actor: transformed pictures in, labels out."""

    def __init__(self, task: Task) -> None:
        self._found = answering(task)

    def __call__(self, batch: Batch) -> Batch:
        return {"id": batch["id"], **self._found.labels(list(batch["pixels"]))}


class Fused:
    """Encoded pictures in, labels out."""

    def __init__(self, task: Task) -> None:
        self._found = answering(task)

    def __call__(self, batch: Batch) -> Batch:
        return {"id": batch["id"], **answer(self._found, batch["image"])}


def documented(task: Task) -> Any:
    """Read, map, map_batches."""
    from torchvision import transforms

    from vision.model import load

    look = load(task.model).preprocessing
    transform = transforms.Compose([
        transforms.ToTensor(),
        transforms.Resize(look.resize, antialias=True),
        transforms.CenterCrop(look.crop),
        transforms.Normalize(look.mean, look.std),
    ])  # fmt: skip

    def prepare(row: Batch) -> Batch:
        return {"id": os.path.relpath(row["path"], task.files), "pixels": transform(row["image"]).numpy()}

    images = ray.data.read_images(task.files, mode="RGB", include_paths=True)
    pool = ray.data.ActorPoolStrategy(size=1)
    net: Any = Net
    return images.map(prepare).map_batches(
        net, fn_constructor_args=(task,), batch_size=task.batch, compute=pool, num_cpus=1
    )


def fused(task: Task) -> Any:
    """Read, map_batches."""
    rows = ray.data.read_parquet(task.material.shards, columns=["id", "image"])
    pool = ray.data.ActorPoolStrategy(size=os.cpu_count() or 1)
    net: Any = Fused
    return rows.map_batches(net, fn_constructor_args=(task,), batch_size=task.batch, compute=pool, num_cpus=0.45)


def main() -> None:
    """Answer the task."""
    task = from_arguments()
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    (documented if task.kernel == "theirs" else fused)(task).write_parquet(task.output)


if __name__ == "__main__":
    main()
