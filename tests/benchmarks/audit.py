"""Audits of many rows: rows a second of the whole command, against fairlearn's MetricFrame on the same machine.

    python -m tests.benchmarks.audit --folder DIR [--rows 200000000] [--shards 100] [--workers N] [--peer-rows 1000000]

Rows have three columns of groups (7 x 9 x 2 = 126 groups), a truth and an answer; they are written once to Parquet
files. `command` is `safelight run audit` from start to end, MLflow's run and Ray's start included, with the most memory
that the driver and a worker ever had, again over a tenth of the rows (memory must not follow them). `counting` is the
part that follows the rows, in this process on one core. `fairlearn` is `MetricFrame` with accuracy by the same three
columns, from arrays that are in memory already; its rate hardly depends on their number. `same_bytes` says whether the
rows of one file, dealt out to 1, 3 and 8 files, gave the same document. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.audit import Audit
from jobs.auditing.counting import Counting
from jobs.auditing.passes import Reader, Run
from jobs.auditing.source import Columns, Files
from tests.benchmarks import watched
from tests.benchmarks.bulk_inference import machine
from vision.fairness.tally import Tally

SIDES = {"tone": 7, "age": 9, "gender": 2}
BY = tuple(SIDES)
ROLES = ("truth=label", "prediction=answer")


def rows(count: int, seed: int) -> pa.Table:
    """Faces with a binary label, nine answers in ten right."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {}
    for name, size in SIDES.items():
        codes = pa.array(rng.integers(0, size, count, np.int8))
        columns[name] = pa.DictionaryArray.from_arrays(codes, [f"{name} {n}" for n in range(size)]).cast(pa.string())
    label = rng.integers(0, 2, count, np.int8)
    right = rng.integers(0, 10, count, np.int8) > 0
    return pa.table(
        columns | {"label": label.astype(np.int32), "answer": np.where(right, label, 1 - label).astype(np.int32)}
    )


def written(folder: Path, count: int, shards: int) -> Path:
    """The rows as files, made once."""
    place = folder / f"rows-{count}-{shards}"
    if not place.is_dir():
        making = folder / f"{place.name}.making"
        making.mkdir(parents=True, exist_ok=True)
        for number in range(shards):
            pq.write_table(rows(count // shards, number), making / f"{number:05d}.parquet")
        making.rename(place)
    return place


def command(place: Path, folder: Path, workers: int | None) -> dict[str, float]:
    """Seconds and peaks of the command."""
    words = [
        "--table", str(place), "--columns", ",".join(ROLES), "--by", ",".join(BY), "--order", "3",
        *(() if workers is None else ("--workers", str(workers))),
    ]  # fmt: skip
    return watched.run("audit", words, folder)


def counting(place: Path, most: int = 10) -> float:
    """Rows a second that one core counts."""
    job = Audit(table=str(place), by=BY, columns=ROLES)
    source = Files.of(str(place), job)
    columns = Columns(BY, "label", "answer")
    reader = Reader((("", source),), columns, Counting(columns, Tally(BY, ("truth", "prediction"))))
    start = time.process_time()
    tally = reader(Run(0, source.parts[:most], 0)).tally
    assert tally.cube is not None
    return tally.cube.total() / (time.process_time() - start)


def fairlearn(count: int, rounds: int = 3) -> float:
    """Rows a second of MetricFrame, the best of some rounds."""
    from fairlearn.metrics import MetricFrame  # type: ignore[import-untyped]
    from sklearn.metrics import accuracy_score

    frame = rows(count, 0).to_pandas()
    best = 0.0
    for _ in range(rounds):
        start = time.process_time()
        found = MetricFrame(
            metrics=accuracy_score, y_true=frame["label"], y_pred=frame["answer"], sensitive_features=frame[list(BY)]
        )
        found.difference()
        best = max(best, count / (time.process_time() - start))
    return best


def same_bytes(folder: Path) -> bool:
    """Whether the same rows in other files give the same document."""
    from cluster.document import document

    table, seen = rows(300_000, 7), set()
    for shards in (1, 3, 8):
        place = folder / f"dealt-{shards}"
        place.mkdir(parents=True, exist_ok=True)
        order = np.random.default_rng(shards).permutation(len(table))
        for number, part in enumerate(np.array_split(order, shards)):
            pq.write_table(table.take(pa.array(part)), place / f"{number}.parquet")
        report = Audit(table=str(place), by=BY, order=3, columns=ROLES, workers=0).run()
        found = document("audit", None, report, {})
        seen.add(json.dumps([found["metrics"], found["groups"]]))
    return len(seen) == 1


def main() -> None:
    """Print what was found."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--folder", type=Path, required=True, help="where rows are kept for the next time")
    words.add_argument("--rows", type=int, default=200_000_000)
    words.add_argument("--shards", type=int, default=100)
    words.add_argument("--workers", type=int, help="default: as the command chooses by the work")
    words.add_argument("--peer-rows", type=int, default=1_000_000)
    asked = words.parse_args()
    folder = asked.folder.absolute()
    place = written(folder, asked.rows, asked.shards)
    tenth = written(folder, asked.rows // 10, max(1, asked.shards // 10))
    whole, part = (command(found, folder, asked.workers) for found in (place, tenth))
    peer, core = fairlearn(asked.peer_rows), counting(place)
    rate = asked.rows / whole["wall_s"]
    found = {
        "rows": asked.rows,
        "groups": int(np.prod(list(SIDES.values()))),
        "command": whole,
        "command_of_a_tenth": part,
        "million_rows_per_s": round(rate / 1e6, 2),
        "counting_million_rows_per_core_s": round(core / 1e6, 2),
        "fairlearn_million_rows_per_core_s": round(peer / 1e6, 4),
        "ratio": round(rate / peer, 1),
        "ratio_of_a_core": round(core / peer, 1),
        "same_bytes": same_bytes(folder),
    }
    print(json.dumps({"audit": found, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
