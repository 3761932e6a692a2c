"""What is kept of a shard: the sorted level-30 ids of its photos, 8 bytes each, so that it need not be read again.

One Arrow file a shard, in a folder beside the cells, mapped into memory where the file system is local. Ids of cells a
centimetre wide are positions: who may not see where photos were taken may not see this folder either. Not a record's
id, nor anything else of it, is in there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs import storage
from vision.accumulator import Array, Counts
from vision.geolocation.counts import Leaves

VERSION = 1
"""Changes when the same shard would give other ids."""

_KEY = b"safelight"
_ENDING = ".arrow"


@dataclass(frozen=True)
class Kept:
    """A shard's photos by place, and what was rejected: counts by place in `vision.sphere.FAULTS`."""

    leaves: Leaves
    rejected: Counts


def beside(cells: str) -> str:
    """The folder beside a file of cells."""
    return f"{cells}.state"


def files(state: str) -> dict[str, str]:
    """The shards of which anything is kept, each with the place where that is."""
    found = storage.files(state, _ENDING)
    return {file.removesuffix(_ENDING): storage.join(state, file) for file in found}


def place(state: str, file: str) -> str:
    """Where a shard's ids are kept."""
    return storage.join(state, file + _ENDING)


def save(url: str, fingerprint: str, kept: Kept) -> None:
    """Keep ids of photos that count one each."""
    rejected = [kept.rejected.keys.tolist(), kept.rejected.counts.tolist()]
    facts = {"version": VERSION, "fingerprint": fingerprint, "rejected": rejected}
    schema = pa.schema([("id", pa.uint64())], metadata={_KEY: json.dumps(facts).encode()})
    batch = pa.record_batch([pa.array(kept.leaves.ids, pa.uint64())], schema=schema)
    with storage.upload(url) as stream, pa.ipc.new_file(stream, schema) as ipc:
        ipc.write_batch(batch)


def load(url: str, fingerprint: str) -> Kept | None:
    """What is kept at a place; None if nothing is, or of other rows or another shard, or damaged."""
    try:
        reader = pa.ipc.open_file(_opened(url))
        facts = json.loads(reader.schema.metadata[_KEY])
        if facts["fingerprint"] != fingerprint or facts["version"] != VERSION:
            return None
        ids: Array = reader.get_batch(0)["id"].to_numpy()  # where it lies, not a copy
        rejected = Counts(*(np.array(values, np.int64) for values in facts["rejected"]))
    except (FileNotFoundError, pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
    return Kept(Leaves(ids), rejected)


def sweep(state: str, wanted: Iterable[str]) -> None:
    """Remove what is kept of shards that are read no more; positions of withdrawn records must not stay."""
    wanted = set(wanted)
    for file, url in files(state).items():
        if file not in wanted:
            storage.remove(url)


def clear(state: str) -> None:
    """Remove all that is kept."""
    sweep(state, ())


def _opened(url: str) -> pa.NativeFile:
    if storage.is_s3(url):
        return pa.BufferReader(storage.read(url))
    return pa.memory_map(storage.absolute(url))
