"""Training on Ray Train: the steps of one process, whoever is killed meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from jobs.train import Train
from jobs.training import checkpoint
from tests.making import rows_of, write_corpus
from tests.services.conftest import S3Server
from tests.trained import every_record_once_an_epoch, stopped, traced
from vision.model import load
from vision.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]
LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
ROWS, BATCH = 90, 16
EPOCH = 6  # steps


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    (tmp_path / "look.json").write_text(json.dumps(LOOK.to_dict()))
    return write_corpus(tmp_path / "shapes", rows_of(ROWS), 20, "train")


def fields(corpus: str, **changed: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "corpus": corpus, "net": "nets.lenet:lenet5", "output": "out", "arguments": '{"channels": 3}',
        "preprocess": "look.json", "epochs": 4, "batch_size": BATCH, "micro_batch": 8, "learning_rate": 0.02,
        "workers": 2, "trace": True, "augment": "flip", "seed": 5, "checkpoint_every": 2,
    }  # fmt: skip
    return {**known, **changed}


def test_two_workers_take_the_steps_of_one_process(corpus: str, ray_session: None) -> None:
    here = Train(**fields(corpus, output="here", workers=0)).run()
    there = Train(**fields(corpus, output="there")).run()
    assert traced("there") == traced("here")
    one, two = (np.array(report.tables["curve"]["loss"]) for report in (here, there))
    assert abs(one - two).max() < 1e-4
    assert here.tags["model_digest"] == there.tags["model_digest"], "two micro-batches are added without rounding"


@pytest.mark.slow
def test_a_failure_for_good_is_told_once(corpus: str, ray_session: None) -> None:
    from jobs.spec import JobFailed

    with pytest.raises(JobFailed, match="lower the learning rate"):
        Train(**fields(corpus, optimizer="sgd", learning_rate=1e12)).run()
    assert not Path("out/model.json").exists()


def test_a_training_to_s3_goes_on_there(corpus: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from jobs import storage

    here = Train(**fields(corpus, output="here", workers=0, trace=False, val_split="train")).run()
    there = Train(**fields(corpus, output="s3://data/trained", workers=0, trace=False, val_split="train"))
    stopped(there, 9, monkeypatch)
    assert checkpoint.found("s3://data/trained") in ([6, 8], [8])
    assert not storage.exists("s3://data/trained/model.json")
    report = there.run()
    assert report.tags["model_digest"] == here.tags["model_digest"]
    assert report.metrics == here.metrics
    assert json.loads(storage.read("s3://data/trained/model.json"))["digest"] == here.tags["model_digest"]


def begin(corpus: str, **changed: Any) -> subprocess.Popen[str]:
    words = []
    for name, value in fields(corpus, **changed).items():
        flag = name.replace("_", "-")
        switch = isinstance(value, bool)
        words += [f"--{'' if value else 'no-'}{flag}"] if switch else [f"--{flag}", str(value)]
    return subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", "run", "train", *words, "--format", "json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def wait_for_step(process: subprocess.Popen[str], step: int) -> bool:
    """Until a step was taken; False if the training ended before."""
    deadline = time.monotonic() + 240
    while not Path("out", "trace", f"{step:08d}-0000.json").exists():
        if process.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def kill_all(process: subprocess.Popen[str]) -> None:
    """kill -9 the driver and all it started."""
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.communicate()


def kill_a_worker(process: subprocess.Popen[str], chance: random.Random) -> None:
    workers = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "RayTrainWorker" in " ".join(child.cmdline()):
                workers.append(child)
    assert workers, "there is a worker to kill"
    chance.choice(workers).kill()


@pytest.mark.slow
def test_a_killed_driver_goes_on_in_one_process(corpus: str) -> None:
    """kill -9 at random steps, none of them a checkpoint's alone; the same weights come out as without."""
    whole = Train(**fields(corpus, output="whole", workers=0, epochs=60)).run()
    chance = random.Random(1)
    for step in sorted(chance.sample(range(5, 200), 2)):
        process = begin(corpus, workers=0, epochs=60)
        assert wait_for_step(process, step)
        time.sleep(chance.uniform(0, 0.02))
        kill_all(process)
        assert not Path("out/model.json").exists()
    finished(begin(corpus, workers=0, epochs=60))
    assert every_record_once_an_epoch(traced(), ROWS, EPOCH) == 60
    assert traced() == traced("whole")
    assert load("out").digest == whole.tags["model_digest"]


@pytest.mark.slow
def test_workers_and_the_driver_are_killed_and_others_go_on(corpus: str) -> None:
    """A worker of two at a random step, then the driver and all; one process goes on, then two workers again."""
    epochs, chance = 60, random.Random(2)
    whole = Train(**fields(corpus, output="whole", workers=0, epochs=epochs)).run()
    moments = sorted(chance.sample(range(5, 200), 3))
    process = begin(corpus, epochs=epochs)
    assert wait_for_step(process, moments[0])
    kill_a_worker(process, chance)
    assert wait_for_step(process, moments[1] + 20), "the workers were replaced"
    kill_all(process)
    alone = begin(corpus, epochs=epochs, workers=0)
    assert wait_for_step(alone, checkpoint.found("out")[-1] + 10)
    kill_all(alone)
    finished(begin(corpus, epochs=epochs))
    assert every_record_once_an_epoch(traced(), ROWS, EPOCH) == epochs
    assert traced() == traced("whole")
    state = checkpoint.newest("out")
    assert state is not None
    losses = np.array(state.facts["curve"]["points"])[:, 1]
    assert abs(losses - np.array(whole.tables["curve"]["loss"])).max() < 1e-4
    assert load("out").digest == whole.tags["model_digest"]


@pytest.mark.slow
def test_fewer_workers_go_on_when_one_cannot_be_replaced(corpus: str) -> None:
    """Two nodes of one core; one dies for good: the training ends with the other, with the steps of one process."""
    from ray.cluster_utils import Cluster

    whole = Train(**fields(corpus, output="whole", workers=0, epochs=200)).run()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    lost = cluster.add_node(num_cpus=1)
    os.environ["RAY_ADDRESS"] = cluster.address
    try:
        process = begin(corpus, min_workers=1, epochs=200)
        assert wait_for_step(process, 60)
        cluster.remove_node(lost, allow_graceful=False)
        finished(process)
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        cluster.shutdown()
    assert every_record_once_an_epoch(traced(), ROWS, EPOCH) == 200
    assert load("out").digest == whole.tags["model_digest"]


@pytest.mark.slow
def test_the_curve_of_a_run_lies_in_mlflow(corpus: str) -> None:
    found = finished(begin(corpus, workers=0, trace=False))
    assert set(found["metrics"]) == {"train_top1"}
    assert set(found["tables"]) == {"curve"}
