"""Who runs: each a command of its own, over the same bytes, with the same weights.

A name is `WHO`, `WHO+ours` (a peer with safelight's decoder and kernel in its UDF), and `/PRECISION` after either
(safelight's kernel in that precision).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.benchmarks.bulk.corpus import Material
from tests.benchmarks.bulk.meter import Measured, measure
from tests.benchmarks.bulk.progress import Committed, Noted
from tests.benchmarks.bulk.task import Task
from tests.benchmarks.bulk.warm_ray import Head

ROOT = Path(__file__).parents[3]

SAFELIGHT = {"safelight-0": 0, "safelight-cold": 2, "safelight-warm": 2}
"""Name to workers: in its own process, on a Ray that it starts, on a Ray that runs already."""

PEERS = {"torch": "torch_loader", "ray-data": "ray_data", "daft": "daft_udf", "spark": "spark_udf"}
"""Name to module."""

NEEDS = {"daft": "daft", "spark": "pyspark"}

ALL = (*SAFELIGHT, *PEERS, *(f"{peer}+ours" for peer in PEERS))


@dataclass(frozen=True)
class Contender:
    """One of them, and the precision of safelight's kernel where it has that."""

    name: str

    @property
    def who(self) -> str:
        return self.name.partition("/")[0].partition("+")[0]

    @property
    def precision(self) -> str:
        return self.name.partition("/")[2] or "auto"

    @property
    def kernel(self) -> str:
        return "ours" if "+ours" in self.name else "theirs"

    def check(self) -> None:
        """Raises ValueError if there is no such contender, or what it needs is not installed."""
        if self.name.partition("/")[0] not in ALL:
            raise ValueError(f"contender {self.name!r} is not one of {', '.join(ALL)}")
        needs = NEEDS.get(self.who)
        if needs and find_spec(needs) is None:
            raise ValueError(f"{self.who} needs {needs}: pip install -e '.[bench]', or leave it out of --contenders")
        if self.who == "spark" and shutil.which("java") is None:
            raise ValueError("spark needs java: install one, or leave spark out of --contenders")


def environment() -> dict[str, str]:
    """The surroundings of every contender: no server of the machine, one thread where libraries would take all."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "MLFLOW_", "AWS_"))}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def race(contender: Contender, material: Material, model: str, folder: Path, head: Head | None) -> dict[str, Any]:
    """Run a contender once, measure it, and check its answers.

    Args:
        folder: of this contender; what safelight keeps between runs (MLflow's database) stays there.
    """
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    (folder / "progress.txt").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    surrounds, serving = environment(), ()
    if contender.who in SAFELIGHT:
        command = _predict(contender, material, model, output)
        watched: Any = Committed(output)
    else:
        task = Task(**asdict(material), model=model, output=str(output), progress=str(folder / "progress.txt"))
        task = replace(task, kernel=contender.kernel, precision=contender.precision)
        command = [sys.executable, "-m", f"tests.benchmarks.bulk.{PEERS[contender.who]}", task.to_json()]
        watched = Noted(folder / "progress.txt")
    if contender.who == "safelight-warm" and head is not None:
        surrounds, serving = {**surrounds, **head.environment}, head.pids  # type: ignore[assignment]
    measured = measure(command, surrounds, folder, watched, serving)
    return {**asdict(measured), **_answers(output, material, measured)}


def _predict(contender: Contender, material: Material, model: str, output: Path) -> list[str]:
    return [
        sys.executable, "-m", "cluster.cli", "run", "predict", "--corpus", material.corpus, "--model", model,
        "--output", str(output), "--workers", str(SAFELIGHT[contender.who]), "--precision", contender.precision,
        "--format", "json",
    ]  # fmt: skip


def _answers(output: Path, material: Material, measured: Measured) -> dict[str, Any]:
    """The labels by id; a failure if any picture has no answer, or two."""
    if measured.failure:
        return {"labels": {}}
    ids: list[str] = []
    labels: list[int] = []
    for path in sorted(output.rglob("*.parquet")):
        table = pq.read_table(path, columns=["id", "label"])
        ids += table["id"].to_pylist()
        labels += table["label"].to_pylist()
    if sorted(ids) != material.ids:
        return {"labels": {}, "failure": f"{len(ids)} rows with {len(set(ids))} ids for {len(material.ids)} pictures"}
    return {"labels": dict(zip(ids, labels, strict=True))}


def limits(material: Material, model: str, precision: str, folder: Path) -> dict[str, float]:
    """See `tests.benchmarks.bulk.limits`."""
    folder.mkdir(parents=True, exist_ok=True)
    task = Task(**asdict(material), model=model, output="", progress=str(folder / "ignored.txt"), precision=precision)
    command = [sys.executable, "-m", "tests.benchmarks.bulk.limits", task.to_json()]
    done = subprocess.run(command, env=environment(), cwd=folder, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found
