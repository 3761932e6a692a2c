"""Training speed: `train` against a bare torch loop on tensors in memory, and Ray Train fed by Ray Data.

    python -m tests.benchmarks.training --corpus CORPUS --net nets.cifar_resnet:resnet20 --rounds 3

Each contender trains the same net on the same split in a process of its own, in turn, in another order each round.
`steady` is images a second from the second epoch on, when pictures are decoded; `per_cpu_s` counts seconds of CPU,
where the work is in one process: a neighbour's load does not change it. `first` is seconds from the process' start to
its first step. The bare loops have no augmentation, no decoding and one tensor for all pictures; ours crop and flip,
keep checkpoints and say how far they are. `bare-1` and `ours-0` have one core, the others two: `bare-2` by torch's
threads, `ours-2` and `ray-data` by two processes of one thread. `/nchw` is torch's default memory layout; the others
are channels last, which is faster.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 128
CONTENDERS = ("ours-0", "bare-1", "bare-1/nchw", "ours-2", "bare-2", "bare-2/nchw", "ray-data")
PAIRS = (
    ("ours-0", "bare-1"),
    ("ours-0", "bare-1/nchw"),
    ("ours-2", "bare-2"),
    ("ours-2", "bare-2/nchw"),
    ("ours-2", "ray-data"),
)


class Clock:
    """When each step ended."""

    def __init__(self, began: float, warm: int) -> None:
        self._began, self._warm, self.ends = began, warm, list[tuple[int, float, float]]()

    def step(self, number: int) -> None:
        self.ends.append((number, time.time(), time.process_time()))

    def facts(self) -> dict[str, float]:
        warm = [one for one in self.ends if one[0] >= self._warm]
        (first, start, used), (last, end, in_all) = warm[0], warm[-1]
        images = (last - first) * BATCH
        facts = {"steady": images / (end - start), "first": self.ends[0][1] - self._began}
        # Where the work is in this process: what a neighbour's load does not change.
        return facts | ({"per_cpu_s": images / (in_all - used)} if in_all - used > (end - start) / 8 else {})


def tensors(corpus: str, split: str, cl: bool) -> tuple[Any, Any]:
    """All pictures of a split, normalised, and their labels."""
    import pyarrow.dataset as ds
    import torch

    from vision.preprocessing import Preprocessing

    look = Preprocessing.named("cifar10")
    table = ds.dataset(Path(corpus, split)).to_table(columns=["image", "label"])
    pixels = np.stack([look.load(data.as_py()) for data in table["image"]])
    inputs = torch.from_numpy(look.normalise(pixels))
    return (inputs.contiguous(memory_format=torch.channels_last) if cl else inputs), torch.tensor(
        table["label"].to_pylist()
    )


def net_of(name: str, cl: bool) -> Any:
    import torch

    from vision import names

    torch.manual_seed(0)
    net = names.net(name, {})
    return net.to(memory_format=torch.channels_last) if cl else net


def bare(job: argparse.Namespace, clock: Clock, threads: int, cl: bool) -> None:
    """The loop of any tutorial."""
    import torch

    torch.set_num_threads(threads)
    inputs, labels = tensors(job.corpus, job.split, cl)
    net = net_of(job.net, cl).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    number = 0
    while number < job.steps:
        for rows in torch.randperm(len(inputs)).split(BATCH)[: job.steps - number]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
            optimizer.step()
            clock.step(number)
            number += 1


def ours(job: argparse.Namespace, clock: Clock, workers: int) -> None:
    """`safelight run train`, stopped after as many steps as the others."""
    from jobs.spec import Plain
    from jobs.train import Train
    from jobs.training import checkpoint, planning, spread
    from jobs.training.crew import Note
    from jobs.training.loop import Worker

    def tell(note: Note) -> None:
        if note.kind == "progress":
            clock.step(note.step - 1)

    learn = Worker._learn

    def timed(self: Worker, portion: Any) -> None:
        learn(self, portion)
        clock.step(self.number - 1)

    with tempfile.TemporaryDirectory() as output:
        train = Train(
            corpus=job.corpus, split=job.split, net=job.net, preprocess="cifar10", output=output, batch_size=BATCH,
            limit=job.steps * BATCH // job.epochs, epochs=job.epochs, augment=("crop:4", "flip"), learning_rate=0.05,
        )  # fmt: skip
        plan = planning.plan(train, Plain(), output)
        checkpoint.write(
            output, checkpoint.Checkpoint(0, {"weights": plan.begun.net.state_dict()}, plan.course.initial())
        )
        if workers == 0:
            Worker._learn = timed  # type: ignore[method-assign]
        spread.carry_out(plan.course, spread.Staff(workers), tell)


def decoded(batch: dict[str, Any]) -> dict[str, Any]:
    from PIL import Image

    pixels = np.stack([np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in batch["image"]])
    return {"image": pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255, "label": batch["label"].astype(np.int64)}


def ray_loop(config: dict[str, Any]) -> None:
    import ray.train
    import ray.train.torch
    import torch

    net = ray.train.torch.prepare_model(net_of(config["net"], True))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)
    shard, number = ray.train.get_dataset_shard("train"), 0
    ends = []
    while number < config["steps"]:
        for batch in shard.iter_torch_batches(batch_size=BATCH // 2, local_shuffle_buffer_size=2048):
            if number >= config["steps"]:
                break
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(batch["image"]), batch["label"]).backward()
            optimizer.step()
            ends.append((number, time.time()))
            number += 1
    if ray.train.get_context().get_world_rank() == 0:
        Path(config["ends"]).write_text(json.dumps(ends))


def ray_data(job: argparse.Namespace, clock: Clock) -> None:
    """As Ray's documentation shows: a data set decoded by map_batches, fed by iter_torch_batches, DDP."""
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    import ray
    import ray.data
    import ray.train
    from ray.train.torch import TorchTrainer

    configs: Any = ray.train
    # Two cores train; decoding is given cores of its own on paper, or nothing would start.
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    data = ray.data.read_parquet(str(Path(job.corpus, job.split)), columns=["image", "label"]).map_batches(decoded)
    with tempfile.TemporaryDirectory() as folder:
        ends = Path(folder, "ends.json")
        TorchTrainer(
            ray_loop,
            train_loop_config={"net": job.net, "steps": job.steps, "ends": str(ends)},
            scaling_config=configs.ScalingConfig(num_workers=2),
            run_config=configs.RunConfig(name="bench", storage_path=folder),
            datasets={"train": data},
        ).fit()
        clock.ends = [(int(number), float(end), 0.0) for number, end in json.loads(ends.read_text())]


def run_one(job: argparse.Namespace) -> None:
    clock, (name, _, layout) = Clock(job.began, job.steps // job.epochs), job.one.partition("/")
    runs: dict[str, Callable[[], None]] = {
        "ours-0": lambda: ours(job, clock, 0),
        "ours-2": lambda: ours(job, clock, 2),
        "bare-1": lambda: bare(job, clock, 1, layout != "nchw"),
        "bare-2": lambda: bare(job, clock, 2, layout != "nchw"),
        "ray-data": lambda: ray_data(job, clock),
    }
    runs[name]()
    print("\n" + json.dumps(clock.facts()))


def measured(job: argparse.Namespace, name: str) -> dict[str, float]:
    words = [f"--{key}={getattr(job, key)}" for key in ("corpus", "split", "net", "steps", "epochs")]
    command = [sys.executable, "-m", "tests.benchmarks.training", *words, f"--one={name}", f"--began={time.time()}"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True, timeout=900
    )
    # Ray may say something after it.
    facts: dict[str, float] = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("corpus", None), ("split", "train"), ("net", "nets.cifar_resnet:resnet20"), ("one", "")):
        parser.add_argument(f"--{name}", default=default, required=default is None)
    for name, number in (("steps", 120), ("epochs", 4), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--began", type=float, default=0.0)
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    job = parser.parse_args()
    if job.one:
        run_one(job)
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in job.contenders.split(",")}
    for number in range(job.rounds):
        names = list(found)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            found[name].append(measured(job, name))
            print(f"round {number} {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    report: dict[str, Any] = {"runs": found, "cores": os.cpu_count(), "ratios": {}}
    for one, other in PAIRS:
        if found.get(one) and found.get(other):
            for unit in ("steady", "per_cpu_s"):
                pairs = list(zip(found[one], found[other], strict=True))
                ratios = [a[unit] / b[unit] for a, b in pairs if unit in a and unit in b]
                if ratios:
                    report["ratios"][f"{one} : {other}, {unit}"] = {"median": statistics.median(ratios), "all": ratios}
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
