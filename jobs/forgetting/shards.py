"""Shards of a corpus written again without some records, under new names.

Finding them reads the ids of every shard and nothing else: some 20 bytes a record, 20 GB for a billion photos. What is
rewritten is read once and written once, a row group at a time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.forgetting.ids import Ids
from jobs.intake.ids import SOURCE, STATES, to_footer
from jobs.intake.write import PLAN, Hashing, parquet_writer
from jobs.spec import JobFailed
from vision.corpus import Corpus, Shard

_READERS = 8
_CHUNK = 8 * 2**20


@dataclass(frozen=True)
class Hit:
    """A shard that holds some of the ids."""

    shard: Shard
    ids: frozenset[str]


def holding(url: str, corpus: Corpus, ids: Ids) -> list[Hit]:
    """The shards, of any version, that hold one of the ids.

    Raises:
        JobFailed: if a shard cannot be read.
    """
    shards = [shard for shard in corpus.shards if not shard.forgotten]
    with ThreadPoolExecutor(_READERS) as readers:
        found = readers.map(lambda shard: _held(storage.join(url, shard.file), ids), shards)
        return [Hit(shard, held) for shard, held in zip(shards, found, strict=True) if held]


def _held(url: str, ids: Ids) -> frozenset[str]:
    filesystem, path = storage.locate(url)
    try:
        with filesystem.open_input_file(path) as stream:
            column = pq.read_table(stream, columns=["id"])["id"]
    except (OSError, pa.ArrowInvalid) as error:
        raise JobFailed(f"{url} cannot be read, so nothing was forgotten: {str(error).splitlines()[0]}") from None
    return frozenset(column.filter(ids.among(column)).cast(pa.string()).to_pylist())


def left_of(url: str, hit: Hit, file: str, ids: Ids) -> Shard | None:
    """Write what is left of a shard as `file`; None, and no file, if nothing is.

    Raises:
        JobFailed: if the shard is damaged: its digest would be made good by writing it again.
    """
    if len(hit.ids) == hit.shard.rows:
        return None
    with _checked(url, hit.shard) as stream, storage.upload(storage.join(url, file)) as target:
        old, sink = pq.ParquetFile(stream), Hashing(target)
        kept = pc.invert(ids.among(old.read(columns=["id"])["id"]))
        with parquet_writer(sink, old.schema_arrow.remove_metadata()) as writer:
            start = 0
            for group in range(old.num_row_groups):
                rows = old.read_row_group(group).replace_schema_metadata(None)
                rows, start = rows.filter(kept.slice(start, len(rows))), start + len(rows)
                if len(rows):
                    writer.write_table(rows, row_group_size=len(rows))
            writer.add_key_value_metadata(_footer(old.metadata.metadata or {}, np.asarray(kept.to_numpy(), bool)))
    return Shard(file, int(pc.sum(kept).as_py()), sink.written, sink.digest.hexdigest())


def _checked(url: str, shard: Shard) -> pa.NativeFile:
    filesystem, path = storage.locate(storage.join(url, shard.file))
    stream = filesystem.open_input_file(path)
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    if digest.hexdigest() != shard.sha256:
        stream.close()
        raise JobFailed(f"{url}/{shard.file} is damaged: its sha256 is not the manifest's (see `safelight verify`)")
    stream.seek(0)
    return stream


def _footer(old: Mapping[bytes, bytes], kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> dict[bytes, bytes | str]:
    """What ingest wants to know of the rows that stay, and no word of the others."""
    states = np.frombuffer(base64.b64decode(old.get(STATES, b"")), "<u8")
    footer: dict[bytes, bytes | str] = {SOURCE: old[SOURCE]} if SOURCE in old else {}
    content = states[kept].tobytes() if len(states) == len(kept) else b""
    if content:
        footer[STATES] = to_footer(states[kept])
    # The mark of a shard of ours, which no plan of ingest ever has.
    return {**footer, PLAN: hashlib.sha256(b"what is left" + content).hexdigest()}
