"""The proxy that makes a server slow: it delays requests, each of them, and changes nothing else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

from tests.services.conftest import KEYS, S3Server
from tests.services.delay import DelayingProxy

DELAY_S = 0.05


def test_every_request_waits_and_bytes_stay(s3_server: S3Server) -> None:
    proxy = DelayingProxy(s3_server.ports[0], DELAY_S)
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    client = boto3.client(
        "s3", endpoint_url=proxy.start(), region_name="us-east-1", config=Config(max_pool_connections=8), **keys
    )
    try:
        data = bytes(range(256)) * 4096
        client.put_object(Bucket="data", Key="delayed", Body=data)

        def get(_number: int) -> tuple[bytes, float]:
            start = time.monotonic()
            found = client.get_object(Bucket="data", Key="delayed")["Body"].read()
            return found, time.monotonic() - start

        before = proxy.requests
        one_by_one = [get(number) for number in range(8)]
        assert proxy.requests - before == 8
        with ThreadPoolExecutor(8) as threads:
            start = time.monotonic()
            at_once = list(threads.map(get, range(8)))
            assert proxy.requests - before == 16
            together_s = time.monotonic() - start
        assert all(found == data for found, _ in one_by_one + at_once)
        assert all(took_s >= DELAY_S for _, took_s in one_by_one + at_once)
        # Requests in flight wait beside each other, not one after the other.
        assert together_s < sum(took_s for _, took_s in at_once)
    finally:
        proxy.stop()
