"""The three uses on real servers: submit jobs to a cluster, evaluate every night, query the results.

Ray with two nodes, MLflow on PostgreSQL and S3, all on loopback. The pictures are CIFAR-10's where they are to be had,
and shapes made on the spot elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from tests.making import CLASSES, rows_of
from tests.services.browser import chromium, needed
from tests.services.ray_cluster import RayCluster
from tests.services.standing import ROOT, Standing
from vision.model import Model, save
from vision.preprocessing import Preprocessing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
CIFAR = ROOT.parent / "shared/data/images/cifar10/cifar10_subset.parquet"
LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CORPUS = "s3://safelight/pictures"
EPOCHS = {"worse": 0, "champion": 2, "better": 12}


@dataclass(frozen=True)
class Place:
    """Where the story happens: a folder, the servers' addresses, and a table of pictures."""

    folder: Path
    variables: Mapping[str, str]
    table: Path

    def say(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Begin `safelight ...` as a user would."""
        env = {**os.environ, "PYTHONPATH": str(ROOT), **self.variables, **more}
        return subprocess.Popen(
            [sys.executable, "-m", "cluster.cli", *words],
            cwd=self.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def said(self, *words: str, code: int = 0) -> Any:
        """`safelight ... --format json` to its end; the document."""
        process = self.say(*words, "--format", "json")
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, err
        return json.loads(out)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with `image`, `label` and `split`."""
    if CIFAR.exists():
        return CIFAR
    rows = rows_of(3000)
    splits = ["test" if n % 3 == 0 else "train" for n in range(0, 3000)]
    columns = {"image": [r[1] for r in rows], "label": [r[2] for r in rows], "split": np.roll(splits, 1).tolist()}
    path = tmp_path_factory.mktemp("shapes") / "shapes.parquet"
    pq.write_table(pa.table(columns), path, row_group_size=500)
    return path


@pytest.fixture(scope="module")
def cluster(standing: Standing) -> Iterator[RayCluster]:
    keys = {name: value for name, value in standing.variables.items() if not name.startswith("RAY_")}
    found = RayCluster(cpus=1, surrounds=keys)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def place(standing: Standing, cluster: RayCluster, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("story")
    servers = {name: value for name, value in standing.variables.items() if not name.startswith("RAY_")}
    found = Place(folder, {**servers, **cluster.environment}, pictures)
    ingest = [
        "run", "ingest", "--source", str(pictures), "--layout", "table", "--image-column", "image",
        "--label-column", "label", "--split-column", "split", "--corpus", CORPUS, "--shard-rows", "25",
        "--workers", "0",
    ]  # fmt: skip
    found.said(*ingest)
    train(folder, pictures)
    return found


def train(folder: Path, table: Path) -> None:
    """Nets that learned for no, two and twelve epochs; and the second once more, with its weights a little moved."""
    import torch

    from vision.nets.lenet import lenet5
    from vision.training import fit

    rows = pq.read_table(table, columns=["image", "label", "split"]).to_pylist()
    rows = [row for row in rows if row["split"] == "train"]
    classes = max(row["label"] for row in rows) + 1
    inputs = torch.from_numpy(LOOK.normalise(np.stack([LOOK.load(row["image"]) for row in rows])))
    labels = torch.tensor([row["label"] for row in rows])
    arguments = {"classes": classes, "channels": 3}
    names = CLASSES if classes == 3 else tuple(str(n) for n in range(classes))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = lenet5(**arguments)
    done = 0
    for name, epochs in EPOCHS.items():
        list(fit(net, inputs, labels, epochs=epochs - done, seed=done, batch=100))
        done = epochs
        save(Model("nets.lenet:lenet5", LOOK, "", arguments, names), folder / name, net=net)
        if name == "champion":
            before = [p.detach().clone() for p in net.parameters()]
            with torch.no_grad():
                for p in net.parameters():
                    p.add_(1e-4 * torch.randn_like(p))
            save(Model("nets.lenet:lenet5", LOOK, "", arguments, names), folder / "same", net=net)
            with torch.no_grad():
                for p, old in zip(net.parameters(), before, strict=True):
                    p.copy_(old)


def objects(prefix: str, variables: Mapping[str, str]) -> dict[str, bytes]:
    """What lies under safelight/PREFIX in S3, shard by shard."""
    s3 = pafs.S3FileSystem(
        access_key=variables["AWS_ACCESS_KEY_ID"], secret_key=variables["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=variables["AWS_ENDPOINT_URL"], region="us-east-1",
    )  # fmt: skip
    files = s3.get_file_info(pafs.FileSelector(f"safelight/{prefix}", recursive=True, allow_not_found=True))
    found = {}
    for file in files:
        if file.path.endswith(".parquet"):
            with s3.open_input_file(file.path) as stream:
                found[file.path.split(f"{prefix}/", 1)[1]] = stream.read()
    return found


def test_a_node_lost_under_a_submitted_job_changes_nothing(place: Place, cluster: RayCluster) -> None:
    node = cluster.add_node(cpus=1)
    words = [
        "predict",
        "--corpus",
        "s3://safelight/pictures",
        "--split",
        "test",
        "--model",
        str(place.folder / "champion"),
    ]
    there = ["--output", "s3://safelight/answers", "--workers", "2", "--credentials", "--wait"]
    submitted = place.say("submit", *words, *there)
    deadline = time.monotonic() + 300
    while len(objects("answers", place.variables)) < 3:
        assert submitted.poll() is None, submitted.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cluster.kill_node(node)
    _, err = submitted.communicate(timeout=600)
    assert submitted.returncode == 0, err
    place.said("run", *words, "--output", str(place.folder / "here"), "--workers", "0")
    root = place.folder / "here"
    here = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*.parquet")}
    assert len(here) >= 40
    assert objects("answers", place.variables) == here
    evaluate = ["evaluate", "--corpus", CORPUS, "--split", "test", "--task", "classification"]
    evaluate += ["--predictions", "s3://safelight/answers"]
    done = place.say("submit", *evaluate, "--credentials", "--wait")
    _, err = done.communicate(timeout=600)
    assert done.returncode == 0, err
    listed = place.said("jobs", "list")["jobs"]
    assert {job["state"].lower() for job in listed if job["job"] in ("predict", "evaluate")} == {"succeeded"}


NIGHTS = {
    "2026-03-01": ("same", (0, 4), ("pass", "undecided")),
    "2026-03-02": ("worse", (3,), ("fail",)),
    "2026-03-03": ("better", (0,), ("pass",)),
}


def test_nights_keep_the_champion_find_the_worse_and_take_the_better(place: Place) -> None:
    told: list[dict[str, Any]] = []
    web = listening(told)
    (place.folder / "nightly.yaml").write_text(
        "entries:\n"
        "  - name: pictures\n"
        "    at: '30 2 * * *'\n"
        "    evaluate: {corpus: s3://safelight/pictures, split: test, model: models:/pictures@candidate, workers: 0}\n"
        "    on: here\n"
        "    against: models:/pictures@champion\n"
        "    gates: [{metric: top1, margin: 0.04}]\n"
        "    promote: champion\n"
        f"    notify: http://127.0.0.1:{web.server_address[1]}/night\n"
    )
    register(place, "champion", "champion")
    tick(place, "2026-02-28T12:00:00+00:00", (0,))
    for day, (name, codes, _) in NIGHTS.items():
        register(place, name, "candidate")
        tick(place, f"{day}T02:31:00+00:00", codes)
        tick(place, f"{day}T02:32:00+00:00", (0,))  # each night runs once
    web.shutdown()
    assert len(told) == len(NIGHTS)
    for day, (_, _, verdicts) in NIGHTS.items():
        night = place.said("results", "night", day)
        assert any(f'"{verdict}"' in json.dumps(night) for verdict in verdicts), night
    runs = place.said("results", "evaluate", "--where", "split=test")["runs"]
    assert len(runs) >= 3 + 1


@needed
def test_the_page_of_a_night_opens(place: Place) -> None:
    night = place.said("results", "night", list(NIGHTS)[-1])
    run, address = next((row["run_id"], row["link"]) for row in night["findings"] if row.get("link"))
    dom = chromium(place.folder, "--dump-dom", address).decode()
    assert run in dom and "top1.low" in dom
    opened = place.say("results", "open", run)
    report, err = opened.communicate(timeout=120)
    assert opened.returncode == 0, err
    dom = chromium(place.folder, "--dump-dom", Path(report.strip()).as_uri()).decode()
    assert "<td>top1</td>" in dom and "data:image/jpeg;base64," in dom


def register(place: Place, folder: str, alias: str) -> None:
    """A net that was trained elsewhere, adopted under a name and an alias."""
    facts = json.loads((place.folder / folder / "model.json").read_text())
    (place.folder / "look.json").write_text(json.dumps(facts["preprocessing"]))
    (place.folder / "classes.json").write_text(json.dumps(facts["classes"]))
    place.said(
        "run", "adopt", "--net", facts["net"], "--arguments", json.dumps(facts["arguments"]),
        "--weights", str(place.folder / folder / "weights.safetensors"), "--preprocess", "look.json",
        "--classes", "classes.json", "--output", f"adopted-{folder}", "--register", f"pictures@{alias}",
    )  # fmt: skip


def tick(place: Place, now: str, codes: tuple[int, ...]) -> None:
    process = place.say("schedule", "tick", "--now", now)
    out, err = process.communicate(timeout=600)
    assert process.returncode in codes, out + err


def listening(told: list[dict[str, Any]]) -> HTTPServer:
    """A webhook that keeps what it is told."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
