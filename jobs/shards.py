"""A corpus' shard opened, or one line that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.spec import JobFailed


@contextmanager
def opened(url: str, file: str) -> Iterator[pq.ParquetFile]:
    """A shard of the corpus at `url`, for as long as the context lasts.

    Raises:
        JobFailed: if it is missing or damaged.
    """
    filesystem, path = storage.locate(storage.join(url, file))
    try:
        with filesystem.open_input_file(path) as stream:
            yield pq.ParquetFile(stream)
    except FileNotFoundError:
        raise JobFailed(f"{path} is missing: the corpus is not whole (see `safelight verify`)") from None
    except pa.ArrowInvalid as error:
        raise JobFailed(f"{path} is damaged: {str(error).splitlines()[0]} (see `safelight verify`)") from None
