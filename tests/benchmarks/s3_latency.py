"""predict from and to S3 with 30 ms added to every request, against the same from and to local files.

    python -m tests.benchmarks.s3_latency --folder DIR [--images 1024] [--rounds 3] [--workers 0] [--delay-ms 30]

A real S3 server runs here behind a proxy that holds each request back. Both runs are processes of their own, in turn;
the rate is that between the first and the last committed shard, so that opening and starting do not count (they are in
`wall`). Prints one JSON document: `ratio` is the rate from S3 through the rate from local files, round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import boto3

from jobs.predict import Predict
from jobs.spec import Plain, Progress
from tests.benchmarks.bulk.contenders import environment
from tests.benchmarks.bulk.corpus import material
from tests.benchmarks.bulk.models import model_folder
from tests.benchmarks.bulk.photos import write
from tests.benchmarks.bulk_inference import machine
from tests.services.conftest import KEYS, S3Server
from tests.services.delay import DelayingProxy


class Watch(Plain):
    """Notes when shards were committed."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []

    def progress(self, progress: Progress) -> None:
        self.seen.append((time.monotonic(), progress.images))


def child(corpus: str, model: str, output: str, workers: int) -> None:
    """One predict in this process; prints its rate and wall as JSON."""
    watch, start = Watch(), time.monotonic()
    Predict(corpus=corpus, model=(model,), output=output, workers=workers).run(watch)
    (first_s, first), (last_s, last) = watch.seen[0], watch.seen[-1]
    found = {"rate": (last - first) / (last_s - first_s), "wall_s": time.monotonic() - start}
    json.dump({**found, "first_s": first_s - start, "cpu_s": time.process_time()}, sys.stdout)


def run(corpus: str, model: str, output: str, workers: int, more: dict[str, str]) -> dict[str, float]:
    """`child` in a process of its own."""
    words = [sys.executable, "-m", "tests.benchmarks.s3_latency", "--child", corpus, model, output, str(workers)]
    done = subprocess.run(words, env=environment() | more, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(asked: argparse.Namespace) -> dict[str, object]:
    """Rounds of local and S3, in turn."""
    folder = asked.folder.absolute()
    pictures = material(folder, "small", asked.images)
    model = model_folder(folder / "models", asked.model, write(folder / "photos", "small"))
    shutil.rmtree(folder / "s3", ignore_errors=True)
    server = S3Server(folder / "s3")
    server.start()
    proxy = DelayingProxy(server.ports[0], asked.delay_ms / 1000)
    try:
        os.environ.update(KEYS, AWS_ENDPOINT_URL=server.endpoint)
        upload(pictures.corpus)
        far = {**KEYS, "AWS_ENDPOINT_URL": proxy.start()}
        run(pictures.corpus, model, str(fresh(folder / "warming")), 0, {})  # makes the artifact, fills the page cache
        rounds = []
        for number in range(asked.rounds):
            near = run(pictures.corpus, model, str(fresh(folder / "local")), asked.workers, {})
            before = proxy.requests
            remote = run("s3://data/corpus", model, f"s3://data/answers-{number}", asked.workers, far)
            rounds.append({"local": near, "s3": remote, "requests": proxy.requests - before})
    finally:
        proxy.stop()
        server.stop()
    ratios = [one["s3"]["rate"] / one["local"]["rate"] for one in rounds]  # type: ignore[index]
    walls = [one["local"]["wall_s"] / one["s3"]["wall_s"] for one in rounds]  # type: ignore[index]
    spread = {"ratio": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}
    return {**spread, "wall_ratio": statistics.median(walls), "rounds": rounds, "machine": machine()}


def upload(corpus: str) -> None:
    """A corpus into the bucket `data`."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    for path in Path(corpus).rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            client.upload_file(str(path), "data", f"corpus/{path.relative_to(corpus)}")


def fresh(folder: Path) -> Path:
    """A path where nothing is."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def main() -> None:
    """Print the comparison."""
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
        return
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--images", type=int, default=1024)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--workers", type=int, default=0)
    asked.add_argument("--delay-ms", type=float, default=30.0)
    asked.add_argument("--model", default="mobilenet_v3_large", help="a name in torchvision.models")
    print(json.dumps(compare(asked.parse_args()), indent=1))


if __name__ == "__main__":
    main()
