"""An S3 server on loopback: SeaweedFS in one process, with one identity and the buckets that are asked for."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path

from cluster.stack.place import LOOPBACK, Place, write_private
from cluster.stack.process import Process

NAME = "s3"
REGION = "us-east-1"
DATA, ARTIFACTS = "safelight", "mlflow"
"""The bucket for corpora and predictions, and that of MLflow."""


def program() -> str | None:
    """The server's program, beside this Python or on the path; None where it is not installed."""
    beside = Path(sys.executable).parent / "weed"
    return str(beside) if beside.exists() else shutil.which("weed")


def variables(place: Place) -> dict[str, str]:
    """What a client must know."""
    return {
        "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{place.ports['s3']}",
        "AWS_ACCESS_KEY_ID": place.keys["s3_key"],
        "AWS_SECRET_ACCESS_KEY": place.keys["s3_secret"],
        "AWS_DEFAULT_REGION": REGION,
    }


def start(place: Place) -> None:
    """Start it, wait until it answers, and make its buckets.

    Raises:
        JobFailed: if it does not answer.
    """
    data = place.folder / "objects"
    data.mkdir(exist_ok=True)
    _write_identity(place)
    process = Process(NAME, place.folder)
    process.start([str(program()), *_words(place, data)], {})
    process.wait(lambda: _answers(place.ports["s3"]), 60)
    _make_buckets(place)


def stop(place: Place) -> bool:
    """End it; whether it ran. It takes its time, and what it acknowledged is on disk."""
    return Process(NAME, place.folder).stop(patience_s=2)


def _words(place: Place, data: Path) -> list[str]:
    """Every port is named: those left out would be 10,000 above others, or standard ones that may be taken."""
    pairs = {
        "s3.port": "s3", "s3.port.grpc": "s3_grpc", "master.port": "s3_master", "master.port.grpc": "s3_master_grpc",
        "volume.port": "s3_volume", "volume.port.grpc": "s3_volume_grpc", "filer.port": "s3_filer",
        "filer.port.grpc": "s3_filer_grpc",
    }  # fmt: skip
    return [
        "server", f"-dir={data}", f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024", "-master.electionTimeout=1s", "-volume.max=100", "-filer",
        f"-filer.localSocket={data}/filer.sock", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0",
        f"-s3.config={place.folder}/s3.json", *(f"-{flag}={place.ports[name]}" for flag, name in pairs.items()),
    ]  # fmt: skip


def _write_identity(place: Place) -> None:
    keys = {"accessKey": place.keys["s3_key"], "secretKey": place.keys["s3_secret"]}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identity = {"name": "safelight", "credentials": [keys], "actions": actions}
    write_private(place.folder / "s3.json", json.dumps({"identities": [identity]}))


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://{LOOPBACK}:{port}", timeout=2)
    except urllib.error.HTTPError:
        return True  # it wants a key, so it is there
    except OSError:
        return False
    return True


def _make_buckets(place: Place) -> None:
    import boto3

    told = variables(place)
    client = boto3.client(
        "s3",
        endpoint_url=told["AWS_ENDPOINT_URL"],
        aws_access_key_id=told["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=told["AWS_SECRET_ACCESS_KEY"],
        region_name=REGION,
    )
    there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for name in {DATA, ARTIFACTS} - there:
        client.create_bucket(Bucket=name)
