"""Duplicates among many pictures: what is found of those that were planted, at what speed, in how much memory.

    python -m tests.benchmarks.duplicates --folder DIR [--pictures 100000] [--shards 100] [--workers 0] [--processes 2]

Makes a corpus of pictures of which one in a hundred is a planted copy: a quarter has the same bytes as its original,
the others are resized, recompressed, or cropped by 2 % of each side. It is kept in the folder for the next time. Runs
`safelight run audit --checks duplicates` on it and on a tenth of it, from start to end, and prints one JSON document:
recall by kind, false pairs (pictures in a group with another that is neither its original nor another copy of that),
pictures for each second of a processor (MLflow's start included; with workers, what Ray's daemons use is not seen), and
the most memory that the driver and a worker ever had. Last, the join alone over words that are crowded together, whose
pairs grow with the square of their number and whose memory must not.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import resource
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks import watched
from tests.benchmarks.bulk_inference import machine
from tests.photographs import COPIES, encoded, leaves
from vision import hamming
from vision.corpus import Corpus, Shard

EVERY = 100
KINDS = (*COPIES, "exact")


def original(number: int) -> int | None:
    """Of which picture this one is a copy; those are the last of each hundred, of a picture far before it."""
    if number % EVERY != EVERY - 1:
        return None
    found = int(np.random.default_rng(number).integers(0, number))
    return found - 1 if found % EVERY == EVERY - 1 else found


def kind(number: int) -> str:
    return KINDS[number // EVERY % len(KINDS)]


def picture(number: int) -> bytes:
    """The file of a picture."""
    source = original(number)
    if source is None:
        return encoded(leaves(number))
    if kind(number) == "exact":
        return picture(source)
    copied = COPIES[kind(number)](leaves(source), np.random.default_rng(number))
    return encoded(copied, 85)


def shard(words: tuple[Path, int, int, int]) -> Shard:
    """A shard, written."""
    folder, number, start, stop = words
    ids = [f"{n:07d}.jpg" for n in range(start, stop)]
    table = pa.table({"id": ids, "image": pa.array([picture(n) for n in range(start, stop)], pa.binary())})
    file = f"all/part-{number:05d}.parquet"
    pq.write_table(table, folder / file, row_group_size=500)
    data = (folder / file).read_bytes()
    return Shard(file, len(table), len(data), hashlib.sha256(data).hexdigest())


def made(folder: Path, pictures: int, shards: int, processes: int) -> Path:
    """The corpus, made once."""
    place = folder / f"pictures-{pictures}-{shards}"
    if (place / "corpus.json").is_file():
        return place
    (place / "all").mkdir(parents=True, exist_ok=True)
    edges = np.linspace(0, pictures, shards + 1).astype(int).tolist()
    tasks = [(place, n, a, b) for n, (a, b) in enumerate(itertools.pairwise(edges))]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        entries = pool.map(shard, tasks, chunksize=1)
    corpus = Corpus(name=place.name, version=1, shards=tuple(entries))
    (place / "corpus.json").write_text(corpus.to_json())
    return place


def told(table: pa.Table | None, pictures: int) -> dict[str, Any]:
    """Recall by kind, and false pairs, of the table of duplicates."""
    groups: dict[int, list[int]] = {}
    for row in [] if table is None else table.select(["group", "id"]).to_pylist():
        groups.setdefault(row["group"], []).append(int(row["id"][:-4]))
    group_of = {number: group for group, members in groups.items() for number in members}
    found, planted = Counter[str](), Counter[str]()
    for number in range(EVERY - 1, pictures, EVERY):
        source = original(number)
        assert source is not None
        planted[kind(number)] += 1
        found[kind(number)] += number in group_of and group_of.get(source) == group_of[number]
    false = 0
    for members in groups.values():
        roots = Counter(number if (source := original(number)) is None else source for number in members)
        false += len(roots) - 1
    near = [name for name in KINDS if name != "exact"]
    return {
        "recall_exact": found["exact"] / max(planted["exact"], 1),
        "recall_near": sum(found[n] for n in near) / max(sum(planted[n] for n in near), 1),
        "recall": {name: found[name] / planted[name] for name in KINDS if planted[name]},
        "planted": dict(planted),
        "false_pairs": false,
        "false_pairs_in_10000": false / pictures * 10_000,
    }


def crowd(count: int) -> dict[str, float]:
    """Pairs of words that differ from one by up to four bits, the seconds of the join, and the growth of the peak."""
    rng = np.random.default_rng(count)
    words = np.zeros(count, np.uint64)
    for _ in range(4):
        words ^= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    before, start = _peak_mb(), time.process_time()
    pairs = sum(len(first) for first, _ in hamming.pairs(words, 8))
    return {"words": count, "pairs": pairs, "s": round(time.process_time() - start, 1),
            "added_mb": round(_peak_mb() - before)}  # fmt: skip


def _cpu_s() -> float:
    """Seconds of processors that ended children have used, and their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)


def main() -> None:
    """Print what was found."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--folder", type=Path, required=True, help="where pictures are kept for the next time")
    words.add_argument("--pictures", type=int, default=100_000)
    words.add_argument("--shards", type=int, default=100)
    words.add_argument("--workers", type=int, default=0)
    words.add_argument("--processes", type=int, default=2, help="that make the pictures")
    asked = words.parse_args()
    folder, found = asked.folder.absolute(), dict[str, Any]()
    for name, pictures, shards in (
        ("tenth", asked.pictures // 10, max(1, asked.shards // 10)),
        ("whole", asked.pictures, asked.shards),
    ):
        place = made(folder, pictures, shards, asked.processes)
        shutil.rmtree(folder / "run", ignore_errors=True)
        command = ["--corpus", str(place), "--checks", "duplicates", "--workers", str(asked.workers)]
        before = _cpu_s()
        ran = watched.run("audit", command, folder / "run")
        cpu = _cpu_s() - before
        tables = list((folder / "run").rglob("duplicates.parquet"))
        judged = told(pq.read_table(tables[0]) if tables else None, pictures)
        speed = {"cpu_s": round(cpu), "pictures_per_cpu_s": round(pictures / cpu)}
        found[name] = {"pictures": pictures, **judged, "command": ran, **speed}
    found["join"] = [crowd(count) for count in (5_000, 10_000, 20_000)]
    print(json.dumps({"duplicates": found, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
