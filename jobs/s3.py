"""S3: a filesystem for reading, and the requests that no filesystem can say, whole and conditional PUTs.

Keys, region and endpoint come from the usual variables of the environment. Every request is tried again with
exponential back-off before S3 counts as lost.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import pyarrow.fs as pafs

from jobs.spec import JobFailed

S3_ATTEMPTS = 10
"""Tries of a request: about ten seconds with back-off."""


class Conflict(JobFailed):
    """A file changed since it was read: someone else wrote it."""


@lru_cache(maxsize=1)
def filesystem() -> pafs.S3FileSystem:
    """S3 as Arrow sees it."""
    retries = pafs.AwsStandardS3RetryStrategy(max_attempts=S3_ATTEMPTS)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    # With an endpoint of its own a region cannot be looked up, and any will do.
    given: dict[str, Any] = {"region": region or "us-east-1"} if endpoint or region else {}
    if endpoint:
        given |= {"endpoint_override": endpoint}
    return pafs.S3FileSystem(retry_strategy=retries, **given)


@lru_cache(maxsize=1)
def _requests() -> Any:
    """The client for what Arrow's filesystem cannot say: conditional and whole PUTs."""
    import boto3
    from botocore.config import Config

    return boto3.client("s3", config=Config(retries={"mode": "standard", "max_attempts": S3_ATTEMPTS}))


def put(url: str, data: bytes, condition: dict[str, str] | None = None) -> None:
    """Write an object whole.

    Raises:
        Conflict: if a condition (`IfMatch`, `IfNoneMatch`) does not hold.
    """
    try:
        request("put_object", url, Body=data, **(condition or {}))
    except OSError as error:
        if condition and "PreconditionFailed" in str(error):
            raise Conflict(f"{url} was changed by someone else meanwhile: run again") from None
        raise


def request(operation: str, url: str, **words: Any) -> Any:
    """One S3 request on the object at `url`, as its own API names it.

    Raises:
        FileNotFoundError: if there is no such object or bucket.
        OSError: for whatever else S3 answers, or when it does not.
    """
    return _asked(operation, url, Key=_key(url), **words)


def _asked(operation: str, url: str, **words: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return getattr(_requests(), operation)(Bucket=_bucket(url), **words)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in ("NoSuchKey", "NoSuchBucket", "404"):
            raise FileNotFoundError(f"{url}: not found") from None
        raise OSError(f"{url}: S3 answers {code}") from None
    except BotoCoreError as error:
        raise OSError(f"{url}: S3 is out of reach: {error}") from None


def versions(url: str) -> list[str]:
    """What a bucket with versioning keeps of an object, the newest first; nothing where it keeps none or there is none.

    Raises:
        OSError: if it keeps versions and does not list them.
    """
    try:
        if request("head_object", url).get("VersionId") in (None, "", "null"):
            return []
    except FileNotFoundError:
        return []
    answer = _asked("list_object_versions", url, Prefix=_key(url))
    found = [v for kind in ("Versions", "DeleteMarkers") for v in answer.get(kind, ()) if v["Key"] == _key(url)]
    return [str(v["VersionId"]) for v in found]


def _bucket(url: str) -> str:
    return url.removeprefix("s3://").split("/", 1)[0]


def _key(url: str) -> str:
    return url.removeprefix("s3://").split("/", 1)[1]
