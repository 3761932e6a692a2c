"""What a contender is told, and how it says how far it is."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass

from tests.benchmarks.bulk.corpus import Material


@dataclass(frozen=True)
class Task:
    """Answer every picture once, as rows `id`, `label`, `score` in Parquet files.

    Attributes:
        corpus, files: see `Material`.
        model: a model folder.
        output: folder of the answers; it does not exist yet.
        progress: file to which a line is added for each batch answered; see `note`.
        kernel: "theirs" (Pillow and eager torch in float32) or "ours" (safelight's decoder and compiled net).
        precision: of our kernel, as `--precision` takes it.
        batch: pictures a batch.
    """

    corpus: str
    files: str
    model: str
    output: str
    progress: str
    kernel: str = "theirs"
    precision: str = "auto"
    batch: int = 64

    @property
    def material(self) -> Material:
        return Material(self.corpus, self.files)

    def note(self, answered: int) -> None:
        """Add when how many pictures were answered; short appended lines of several processes do not mix."""
        line = f"{time.monotonic():.4f} {answered}\n"
        handle = os.open(self.progress, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(handle, line.encode())
        os.close(handle)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def from_arguments() -> Task:
    """The task that a contender's process was started with."""
    return Task(**json.loads(sys.argv[1]))
