"""What `partition` keeps beside its cells: photos' positions, which go with the shards that they were read from.

The cells themselves hold counts and mean positions of photos and stay as they are: which cells there are hangs on those
counts, so nothing can be subtracted. They are named instead, until the same partition, asked again, makes them without
what is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.forgetting.erasing import erase
from jobs.partitioning import state
from jobs.spec import Touched
from vision.corpus import Corpus, Shard
from vision.geolocation import stored

LEFT = "counts and means of cells, which hold forgotten photos until the same partition is run again"
"""What is said of a file of cells that is older than what was forgotten."""


def about(place: str) -> dict[str, Any] | None:
    """What a file of cells says of itself; None if there is none."""
    if not place.lower().endswith(".parquet"):
        return None
    filesystem, path = storage.locate(place)
    try:
        with filesystem.open_input_file(path) as stream:
            return stored.about(pq.read_schema(stream))
    except (OSError, ValueError, pa.ArrowInvalid):
        return None


def states(places: Iterable[str], url: str, say: Callable[[str], None]) -> list[str]:
    """The folders of positions that were kept of a corpus beside files of cells; what cannot be reached is said."""
    found = []
    for place in places:
        folder = state.beside(place)
        try:
            # Without its file of cells (deleted, or never finished) a folder is that of the run that names it.
            if state.files(folder) and (about(place) or {}).get("corpus", url) == url:
                found.append(folder)
        except OSError as error:
            say(f"{folder} cannot be reached, so it is left: {str(error).splitlines()[0]}")
    return found


def counted(places: Iterable[str], url: str) -> list[str]:
    """The files of cells, among some places, that were made of a corpus."""
    return [place for place in places if (about(place) or {}).get("corpus") == url]


def left(places: Iterable[str], corpus: Corpus) -> Iterator[Touched]:
    """Files of cells that were made of this corpus when it had shards of which records were forgotten since."""
    for place in places:
        facts = about(place) or {}
        if any(_was_read(shard, facts) for shard in corpus.shards if shard.forgotten):
            yield Touched(place, LEFT, 0)


def _was_read(shard: Shard, facts: Mapping[str, Any]) -> bool:
    version = int(facts.get("corpus_version", 0))
    gone = shard.withdrawn is not None and shard.withdrawn <= version
    return shard.split == facts.get("split") and shard.first <= version and not gone


def purge(folder: str, corpus: Corpus) -> Iterator[Touched]:
    """Delete the positions of shards that are no more; the caller has claimed the folder."""
    present = {shard.file for shard in corpus.present()}
    for file, url in state.files(folder).items():
        if file not in present and erase(url):
            yield Touched(url, "positions of a shard", 1)
