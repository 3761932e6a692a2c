"""Plain torch: a DataLoader with two workers reads and decodes files, the main process computes on one thread.

Two threads of the forward would fight with the loader's workers for two cores: measured, that is slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from tests.benchmarks.bulk.answering import Answering, answering, write
from tests.benchmarks.bulk.task import from_arguments

WORKERS = 2


class Files(Dataset[tuple[str, Any]]):
    """(id, pixels) of each file."""

    def __init__(self, paths: Sequence[str], ids: Sequence[str], found: Answering) -> None:
        self._paths, self._ids, self._found = paths, ids, found

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        with open(self._paths[index], "rb") as stream:
            return self._ids[index], self._found.pixels(stream.read())


def stacked(rows: Sequence[tuple[str, Any]]) -> tuple[list[str], Any]:
    """A batch in one tensor, which crosses processes in shared memory."""
    import numpy as np
    import torch

    batch = [pixels for _, pixels in rows]
    together = torch.stack(batch) if isinstance(batch[0], torch.Tensor) else torch.from_numpy(np.stack(batch))
    return [id_ for id_, _ in rows], together


def main() -> None:
    """Answer the task."""
    task = from_arguments()
    found, material = answering(task), task.material
    files = Files(material.paths, material.ids, found)
    loader = DataLoader(files, batch_size=task.batch, num_workers=WORKERS, collate_fn=stacked)
    ids: list[str] = []
    parts = []
    for names, batch in loader:
        parts.append(found.labels(batch if task.kernel == "theirs" else list(batch.numpy())))
        ids += names
    write(task, ids, parts)


if __name__ == "__main__":
    main()
