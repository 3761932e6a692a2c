"""A URL as a filesystem: local paths and `s3://`, with retries, whole files and conditional writes.

A file appears whole or not at all: locally by a temporary name and a rename, on S3 by one PUT. Manifests change by
compare and swap, so that two writers cannot lose each other's work.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import IO

import pyarrow.fs as pafs

from jobs import s3, temporaries
from jobs.spec import JobFailed
from vision.layout import Source

RANGE_BYTES = 8 * 2**20
CONNECTIONS = 8
"""A large object is fetched in ranges, so many at once."""


def is_s3(url: str) -> bool:
    return url.startswith("s3://")


def absolute(url: str) -> str:
    """The URL in one spelling: no trailing slash, local paths absolute."""
    if is_s3(url):
        return url.rstrip("/")
    if "://" in url and not url.startswith("file://"):
        raise ValueError(f"{url}: only local paths and s3:// are understood")
    return os.path.abspath(os.path.expanduser(url.removeprefix("file://")))


def join(url: str, *parts: str) -> str:
    return "/".join([url.rstrip("/"), *parts])


def locate(url: str) -> tuple[pafs.FileSystem, str]:
    """The filesystem of a URL and the path in it."""
    if is_s3(url):
        return s3.filesystem(), url.removeprefix("s3://").rstrip("/")
    return pafs.LocalFileSystem(), absolute(url)


def source(url: str) -> Source:
    """Raw files at `url`, for a layout to read."""
    filesystem, root = locate(url)
    return Source(filesystem, root, locate)


def info(url: str) -> pafs.FileInfo:
    filesystem, path = locate(url)
    return filesystem.get_file_info(path)


def mark(found: pafs.FileInfo) -> str:
    """What changes when a file does: its size and the time it was written."""
    return f"{found.size}-{found.mtime_ns}"


def exists(url: str) -> bool:
    return bool(info(url).type != pafs.FileType.NotFound)


def is_folder(url: str) -> bool:
    """Whether something lies below the URL."""
    return bool(info(url).type == pafs.FileType.Directory)


def size(url: str) -> int:
    """Bytes of a file.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = info(url)
    if not found.is_file:
        raise FileNotFoundError(f"{url}: not found")
    return int(found.size)


def files(url: str, suffix: str = "", *, hidden: bool = False) -> list[str]:
    """Paths below a folder, relative to it and sorted; none if there is no folder.

    Args:
        url: the folder.
        suffix: what the names end with.
        hidden: list the files whose names begin with a dot (temporary files, claims), and only those.
    """
    filesystem, root = locate(url)
    below = filesystem.get_file_info(pafs.FileSelector(root, recursive=True, allow_not_found=True))
    names = (f.path[len(root) :].lstrip("/") for f in below if f.type == pafs.FileType.File)
    return sorted(n for n in names if n.endswith(suffix) and n.rsplit("/", 1)[-1].startswith(".") == hidden)


def children(url: str) -> list[str]:
    """Names of the files and folders right in a folder, sorted, but hidden ones; none if there is no folder."""
    filesystem, root = locate(url)
    found = filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True))
    return sorted(f.base_name for f in found if not f.base_name.startswith("."))


def read(url: str) -> bytes:
    """The bytes of a file.

    Raises:
        FileNotFoundError: if there is none.
    """
    filesystem, path = locate(url)
    with filesystem.open_input_file(path) as stream:
        size = stream.size()
        if not is_s3(url) or size <= 2 * RANGE_BYTES:
            return bytes(stream.read())
        # One connection to S3 is slow; several at once are as fast as the network.
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return b"".join(pool.map(lambda start: stream.read_at(RANGE_BYTES, start), range(0, size, RANGE_BYTES)))


@contextlib.contextmanager
def upload(url: str) -> Iterator[IO[bytes]]:
    """A stream that becomes the file at `url` when the block ends well, and nothing when it does not."""
    if is_s3(url):
        buffer = io.BytesIO()
        yield buffer
        s3.put(url, buffer.getvalue())
        return
    path = Path(absolute(url))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = temporaries.begin(path)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)  # while its lock is held: nobody sweeps it away meanwhile
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def sweep(url: str) -> int:
    """Remove what writers that died left right in a folder, and nothing of the living; how many files that were.

    On S3 there is nothing to remove: a file appears by one PUT.
    """
    return 0 if is_s3(url) else temporaries.sweep(absolute(url))


@lru_cache(maxsize=1)
def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write(url: str, data: bytes) -> None:
    """Write a file whole."""
    with upload(url) as stream:
        stream.write(data)


def remove(url: str) -> None:
    """Delete a file if it is there."""
    filesystem, path = locate(url)
    with contextlib.suppress(FileNotFoundError):
        filesystem.delete_file(path)


def read_versioned(url: str) -> tuple[bytes | None, str | None]:
    """A manifest and a token for `replace`; (None, None) if there is none yet."""
    if is_s3(url):
        try:
            answer = s3.request("get_object", url)
        except FileNotFoundError:
            return None, None
        return bytes(answer["Body"].read()), str(answer["ETag"])
    try:
        data = Path(absolute(url)).read_bytes()
    except FileNotFoundError:
        return None, None
    return data, hashlib.sha256(data).hexdigest()


def replace(url: str, data: bytes, token: str | None) -> None:
    """Write a manifest if it is still the one that `read_versioned` gave.

    Raises:
        s3.Conflict: if it is not.
    """
    if is_s3(url):
        s3.put(url, data, {"IfMatch": token} if token else {"IfNoneMatch": "*"})
        return
    with _locked(Path(absolute(url)).parent / ".lock", wait=True):
        if read_versioned(url)[1] != token:
            raise s3.Conflict(f"{url} was changed by someone else meanwhile: run again")
        write(url, data)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold an exclusive lock on a file; the system lets go of it when the process dies. The file goes away again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(path, "a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Whoever held it before has removed the file that was opened here: another may be locked by now.
            if not path.exists() or path.stat().st_ino != os.fstat(handle.fileno()).st_ino:
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


@contextlib.contextmanager
def claim(url: str) -> Iterator[None]:
    """Be the only job that writes to an output folder.

    Raises:
        JobFailed: if another job holds it.
    """
    if is_s3(url):
        from jobs.lease import hold

        with hold(join(url, ".claim")):
            yield
        return
    folder = Path(absolute(url))
    new = not folder.exists()
    try:
        with _locked(folder / ".claim", wait=False):
            yield
    except BlockingIOError:
        raise JobFailed(f"{url}: another job is writing there; wait for it or choose another --output") from None
    finally:
        if new:
            # A job that wrote nothing leaves nothing; a folder that holds something stays.
            with contextlib.suppress(OSError):
                folder.rmdir()
