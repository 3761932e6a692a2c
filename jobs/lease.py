"""A claim on an S3 folder: an object that says who writes there, renewed while the job lives.

S3 has no locks that end with a process, so a claim that was not renewed for `STALE_S` may be taken over. Both times
are the server's, so clocks need not agree.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator

from jobs import s3, storage
from jobs.spec import JobFailed

RENEW_S = 10.0
STALE_S = 60.0


@contextlib.contextmanager
def hold(url: str) -> Iterator[None]:
    """Hold the claim at `url` (s3://...) for the length of the block.

    Raises:
        JobFailed: if another job holds it and is alive.
    """
    name = uuid.uuid4().hex.encode()
    _take(url, name)
    over = threading.Event()
    renewer = threading.Thread(target=_renew, args=(url, name, over), daemon=True)
    renewer.start()
    try:
        yield
    finally:
        over.set()
        renewer.join()
        storage.remove(url)


def _take(url: str, name: bytes) -> None:
    held, token = storage.read_versioned(url)
    if held is not None and _age_s(url) < STALE_S:
        raise JobFailed(
            f"{url.rsplit('/', 1)[0]}: another job is writing there (or stopped less than {STALE_S:.0f} s ago)"
        )
    try:
        storage.replace(url, name, token)
    except s3.Conflict:
        raise JobFailed(f"{url.rsplit('/', 1)[0]}: another job has just begun to write there") from None


def _age_s(url: str) -> float:
    """Seconds since the claim was renewed, by the server's clock."""
    from email.utils import parsedate_to_datetime

    answer = s3.request("head_object", url)
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    return float((now - answer["LastModified"]).total_seconds())


def _renew(url: str, name: bytes, over: threading.Event) -> None:
    while not over.wait(RENEW_S):
        # A renewal that fails is tried again: the claim stays good for STALE_S.
        with contextlib.suppress(OSError):
            storage.write(url, name)
