"""A corpus checked against its own manifest: every shard there, every sha256 right, every id once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.records import open_corpus
from vision.corpus import Shard

_READERS = 4
_CHUNK = 8 * 2**20


def problems(corpus_url: str, say: Callable[[str], None]) -> Iterator[str]:
    """What is wrong with a corpus, a line each; nothing if all is well.

    Args:
        corpus_url: folder or URL, at a version or the latest.
        say: takes a line of progress now and then.
    """
    url, corpus = open_corpus(corpus_url)
    shards = corpus.present()
    with ThreadPoolExecutor(_READERS) as readers:
        checked = readers.map(lambda shard: _problem(url, shard), shards)
        for number, (shard, problem) in enumerate(zip(shards, checked, strict=True), 1):
            if problem:
                yield f"{shard.file}: {problem}"
            if number % 100 == 0:
                say(f"{number:,} of {len(shards):,} shards checked")
    listed = {shard.file: shard for shard in corpus.shards}
    for file in storage.files(url, ".parquet"):
        if file not in listed:
            yield f"{file}: not in corpus.json"
        elif listed[file].forgotten:
            yield f"{file}: holds records that were to be forgotten: run the same forget again"


def _problem(url: str, shard: Shard) -> str | None:
    filesystem, path = storage.locate(storage.join(url, shard.file))
    digest = hashlib.sha256()
    try:
        with filesystem.open_input_stream(path) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        if digest.hexdigest() != shard.sha256:
            return "its sha256 is not the manifest's: it is damaged or was changed"
        with filesystem.open_input_file(path) as stream:
            rows = pq.read_metadata(stream).num_rows
    except FileNotFoundError:
        return "missing"
    except (OSError, pa.ArrowInvalid) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    return None if rows == shard.rows else f"{rows} rows where the manifest says {shard.rows}"
