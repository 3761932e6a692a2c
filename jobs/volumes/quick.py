"""zarr arrays read by tensorstore where it is installed: the same voxels, with less work of the processor.

What an array is, is always learnt through zarr-python; only voxels on local disks are read here. Objects on S3 stay
with zarr-python, whose reads go through `jobs.storage` and its retries.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from jobs import storage
from vision.connectomics.installed import library

LIMITS = {
    "data_copy_concurrency": {"limit": 1},
    "file_io_concurrency": {"limit": 4},
    "cache_pool": {"total_bytes_limit": 0},
}
"""A worker is one core, and its memory is bounded by the block."""

DRIVERS = {2: "zarr", 3: "zarr3"}


@cache
def context() -> Any:
    """What all arrays of a process share: its threads, and no cache."""
    return library("tensorstore").Context(LIMITS)


def opened(array: Any, place: str) -> Any:
    """What reads a zarr-python array in the folder `place`; None where tensorstore is absent or does not know how.

    Its codecs are fewer than zarr-python's, and an array of others is simply read by that.
    """
    if storage.is_s3(place):
        return None
    path = storage.join(place, *filter(None, [array.path]))
    spec = {"driver": DRIVERS[array.metadata.zarr_format], "kvstore": {"driver": "file", "path": f"{path}/"}}
    try:
        return library("tensorstore").open(spec, read=True, context=context()).result()
    except ValueError:
        return None
