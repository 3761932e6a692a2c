"""When pictures were answered: from the lines that peers write, or from the files that safelight commits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Batches = list[tuple[float, int]]


@dataclass(frozen=True)
class Noted:
    """The lines of `Task.note`."""

    file: Path

    def __call__(self) -> Batches:
        if not self.file.exists():
            return []
        rows = [line.split() for line in self.file.read_text().splitlines()]
        return sorted((float(moment), int(count)) for moment, count in rows)


@dataclass
class Committed:
    """Files that appear in an output folder: whole shards, and row groups of shards that workers share.

    That is the later moment: a peer's batch counts as soon as it is computed, safelight's when it cannot be lost.
    """

    folder: Path
    seen: dict[str, tuple[float, int]] = field(default_factory=dict)

    def __call__(self) -> Batches:
        now = time.monotonic()
        for path in self.folder.glob("*/*"):
            name = str(path)
            if name not in self.seen and not name.endswith(".tmp"):
                rows = self._rows(path)
                if rows:
                    self.seen[name] = now, rows
        return sorted(self.seen.values())

    def _rows(self, path: Path) -> int:
        """Rows that this file adds; a shard put together from row groups that were counted adds none."""
        try:
            if path.suffix == ".parquet":
                rows = int(pq.read_metadata(path).num_rows)
                shared = f"{path.parent}/.{path.name}."
                return max(rows - sum(count for name, (_, count) in self.seen.items() if name.startswith(shared)), 0)
            if path.name.startswith(".part-") and path.suffix[1:].isdigit():
                return int(pa.ipc.open_stream(path).read_all().num_rows)
        except (OSError, pa.ArrowInvalid):
            # It was put together with others and is gone, or is not whole yet.
            return 0
        return 0
