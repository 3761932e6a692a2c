"""Files deleted or replaced for good, also where a bucket keeps what was there before.

In a bucket with versioning a delete only hides an object, and a write keeps the one before it. Each key that is erased
loses all its versions; a key that is rewritten loses those from before.
"""

from __future__ import annotations

from jobs import s3, storage


def erase(url: str) -> bool:
    """Delete a file and all that is kept of it; whether there was one."""
    there = storage.exists(url)
    if storage.is_s3(url):
        for version in s3.versions(url):
            s3.request("delete_object", url, VersionId=version)
    storage.remove(url)
    return there


def rewrite(url: str, data: bytes) -> None:
    """Write a file whole and keep nothing of what it was."""
    before = s3.versions(url) if storage.is_s3(url) else []
    storage.write(url, data)
    for version in before:
        s3.request("delete_object", url, VersionId=version)
