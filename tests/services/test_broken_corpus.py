"""A corpus with every kind of broken file: each an `error` row that says why, none the end of a job or of memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import psutil
import pyarrow.parquet as pq
import pytest

from jobs.ingest import Ingest
from jobs.predict import Predict
from tests.making import picture

LIMIT_MIB = 1.2 * 1024
CLI = [sys.executable, "-m", "cluster.cli"]


def write_files(good: int, broken: int, hostile: ModuleType) -> None:
    kinds = sorted(hostile.broken().items())
    for number in range(good):
        path = Path("source") / "good" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number % 3, number))
    for number in range(broken):
        name, case = kinds[number % len(kinds)]
        path = Path("source") / "broken" / f"{number:02d}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.data)
    (Path("source") / "broken" / "00-bomb.png").write_bytes(hostile.bomb(20_000))
    next(Path("source/broken").glob(f"00-{kinds[0][0]}")).unlink()


def rows(output: str) -> list[dict[str, object]]:
    return [row for path in sorted(Path(output).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_every_kind_is_a_row_that_says_why(hostile: ModuleType, small_model: str) -> None:
    write_files(20, len(hostile.broken()), hostile)
    Ingest(source="source", layout="imagefolder", corpus="corpus", workers=0).run()
    Predict(corpus="corpus", model=small_model, output="out", workers=0, max_errors=1.0).run()
    found = {str(row["id"]): row for row in rows("out")}
    assert len(found) == 20 + len(hostile.broken())
    for name, row in found.items():
        broken = name.startswith("broken/")
        assert (row["error"] is not None) == broken == (row["label"] is None)
        assert not broken or 10 < len(str(row["error"])) < 120


def peak_mib(command: list[str]) -> tuple[int, str, float]:
    """Exit code, what was said on stderr, and the most memory that any one process of the tree held."""
    peak, said = 0.0, Path("said.txt")
    with said.open("w") as stream:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stream)
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            for one in [watched, *watched.children(recursive=True)]:
                try:
                    peak = max(peak, one.memory_info().rss / 2**20)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.05)
    return process.returncode, said.read_text(), peak


@pytest.mark.slow
def test_970_answers_and_30_errors_within_memory(hostile: ModuleType, small_model: str) -> None:
    write_files(970, 30, hostile)
    Ingest(source="source", layout="imagefolder", corpus="corpus", shard_rows=100, workers=0).run()
    predict = [
        *CLI,
        "run",
        "predict",
        "--corpus",
        "corpus",
        "--model",
        small_model,
        "--output",
        "out",
        "--workers",
        "2",
    ]
    code, said, peak = peak_mib([*predict, "--max-errors", "0.01"])
    assert code == 1
    assert "images are broken, more than --max-errors 0.01" in said
    assert len([line for line in said.splitlines() if line.startswith("  broken/")]) >= 11
    assert peak < LIMIT_MIB
    code, _, peak = peak_mib([*predict, "--max-errors", "0.05"])
    assert code == 0
    assert peak < LIMIT_MIB
    found = rows("out")
    assert (len(found), sum(row["error"] is not None for row in found)) == (1000, 30)
    assert sum(row["label"] is not None for row in found) == 970
