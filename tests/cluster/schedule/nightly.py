"""Small nights for tests: tables of answers as good as wanted, and the entries that score them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import yaml

from cluster.results.query import Query, Run, search
from cluster.schedule.reading import read
from cluster.settings import Settings, from_environment

ROWS = 3000


def answers(path: Path, wrong: float, seed: int = 0, rows: int = ROWS) -> str:
    """A table in which a share of answers is wrong: the same images for a lower share, and some more for a higher."""
    hard = np.random.default_rng(seed).random(rows)
    truth = np.arange(rows) % 7
    table = {"id": np.arange(rows), "truth": truth, "said": np.where(hard < wrong, (truth + 1) % 7, truth)}
    pa.csv.write_csv(pa.table(table), path)
    return str(path)


def scoring(table: str, **words: Any) -> dict[str, Any]:
    """An entry at 02:30 in Berlin that scores a table."""
    columns = ["id=id", "truth=truth", "prediction=said"]
    job = {"table": table, "columns": columns}
    return {"name": "faces", "at": "30 2 * * *", "zone": "Europe/Berlin", "evaluate": job, **words}


def slow(folder: Path, corpus: str, **words: Any) -> dict[str, Any]:
    """An entry at 02:30 in Berlin that predicts with a net that is slow on purpose, shard by shard into `out`."""
    code = folder / "code"
    code.mkdir(exist_ok=True)
    (code / "slow_nets.py").write_text(
        "import time\n"
        "import torch, torch.fx\n"
        "def nap(x):\n"
        "    time.sleep(0.2)\n"
        "    return x\n"
        "torch.fx.wrap('nap')\n"  # else it sleeps while its graph is traced, and never again
        "class Slow(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return nap(x).flatten(1)[:, :3]\n"
        "def slow():\n"
        "    return Slow()\n"
    )
    job = {
        "corpus": corpus, "model": "slow_nets:slow", "code": str(code), "workers": 0, "kernel": "torch",
        "output": str(folder / "out"), "batch_size": 4,
    }  # fmt: skip
    return {"name": "slow", "at": "30 2 * * *", "zone": "Europe/Berlin", "predict": job, **words}


def write(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "nightly.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return path


def entries(folder: Path, *given: dict[str, Any]) -> Any:
    return read(write(folder, *given))


def here(folder: Path) -> Settings:
    return from_environment({}, folder)


def runs(folder: Path, **where: str) -> list[Run]:
    """The runs that nights left behind, newest first."""
    found = search(Query(metrics=None), here(folder))
    return [run for run in found if all(run.fact(name) == value for name, value in where.items())]
