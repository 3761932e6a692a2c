"""The same bytes for everyone: a folder of files, and a safelight corpus whose Parquet shards peers read too."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jobs.ingest import Ingest
from tests.benchmarks.bulk import photos

SHARD_ROWS = {"small": 128, "big": 16}
"""About 8 and 12 MB: the first answers are committed after so many."""


@dataclass(frozen=True)
class Material:
    """Where the pictures are.

    Attributes:
        corpus: folder of the safelight corpus.
        files: folder of the same pictures as files; an id is a path relative to it.
    """

    corpus: str
    files: str

    @property
    def shards(self) -> list[str]:
        """The Parquet files of the corpus, with the columns `id` and `image`."""
        return sorted(map(str, Path(self.corpus).rglob("*.parquet")))

    @property
    def paths(self) -> list[str]:
        return sorted(map(str, Path(self.files).rglob("*.jpg")))

    @property
    def ids(self) -> list[str]:
        return [os.path.relpath(path, self.files) for path in self.paths]


def material(folder: Path, kind: str, images: int) -> Material:
    """So many pictures of a kind; beyond those that there are they repeat under other names."""
    place = folder / f"{kind}-{images}"
    made = Material(str(place / "corpus"), str(place / "files"))
    if not (place / "corpus" / "corpus.json").exists():
        pictures = photos.write(folder / "photos", kind)
        for number in range(images):
            path = place / "files" / "photo" / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.link(pictures[number % len(pictures)], path)
        Ingest(
            source=made.files, layout="imagefolder", corpus=made.corpus, shard_rows=SHARD_ROWS[kind], workers=0
        ).run()
    return made
