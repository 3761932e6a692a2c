"""Cells on the globe: how fast positions become ids, ids a partition, and 126 million geotags the cells of PlaNet.

    python -m tests.benchmarks.partition ids [--points 2000000] [--rounds 7]
    python -m tests.benchmarks.partition sort [--points 100000000] [--rounds 3]
    python -m tests.benchmarks.partition sharded --folder DIR [--points 126000000] [--shards 7] [--workers 2]

`ids` is a core's positions a second, in CPU time, against s2geometry and s2sphere called for each point, all in turn in
each round. `sort` is the partition of ids in memory, from unsorted ids to cells with counts, against `ids.sort()`
alone, and the most memory that the process ever had. `sharded` is the whole command, MLflow's run and Ray's start
included, on a corpus that it makes once; its cells are held against those of one process that has all ids in memory.

Photos are real positions (photo_coords_60k.csv beside the checkout, else made ones) moved by some kilometres, so that
cities stay full and deserts empty. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.partitioning import output
from tests.benchmarks import watched
from tests.benchmarks.bulk_inference import machine
from tests.geo import clustered_places
from vision.accumulator import Array
from vision.corpus import Corpus, Shard
from vision.geolocation import s2
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.means import means, sums
from vision.geolocation.stored import Cells

COORDINATES = Path(__file__).parents[3] / "shared" / "data" / "geo" / "photo_coords_60k.csv"
CHUNK = 1_000_000
JITTER_DEGREES = 0.02
RULE = Rule(t_max=10_000, t_min=50)
PEER_POINTS = 50_000


def photos(count: int) -> Iterator[tuple[Array, Array]]:
    """Latitudes and longitudes, a million at a time, the same ones every time."""
    real = np.loadtxt(COORDINATES, delimiter=",", skiprows=1) if COORDINATES.exists() else _made()
    for number, start in enumerate(range(0, count, CHUNK)):
        generator = np.random.default_rng(number)
        size = min(CHUNK, count - start)
        places = real[generator.integers(0, len(real), size)] + generator.normal(0, JITTER_DEGREES, (size, 2))
        yield np.clip(places[:, 0], -90, 90), (places[:, 1] + 180) % 360 - 180


def _made() -> Array:
    return np.stack(clustered_places(60_000), axis=-1)


def unsorted_ids(count: int) -> Array:
    """(count,) uint64."""
    ids = np.empty(count, np.uint64)
    for number, (latitude, longitude) in enumerate(photos(count)):
        ids[number * CHUNK : number * CHUNK + len(latitude)] = s2.ids(latitude, longitude)
    return ids


def spread(values: list[float]) -> dict[str, float]:
    low, middle, high = np.quantile(values, [0, 0.5, 1])
    return {"median": round(float(middle), 4), "least": round(float(low), 4), "greatest": round(float(high), 4)}


def cpu_s(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def ids(points: int, rounds: int) -> dict[str, Any]:
    """Millions of ids a second of one core."""
    import s2geometry  # type: ignore[import-untyped]
    import s2sphere  # type: ignore[import-untyped]

    latitude, longitude = (np.concatenate(part) for part in zip(*photos(points), strict=True))
    few = list(zip(latitude[:PEER_POINTS].tolist(), longitude[:PEER_POINTS].tolist(), strict=True))
    cell, place = s2geometry.S2CellId, s2geometry.S2LatLng.FromDegrees
    slow, degrees = s2sphere.CellId.from_lat_lng, s2sphere.LatLng.from_degrees
    angles = np.radians(longitude)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "safelight": (points, lambda: s2.ids(latitude, longitude)),
        "s2geometry": (PEER_POINTS, lambda: [cell(place(a, b)).id() for a, b in few]),
        "s2sphere": (PEER_POINTS, lambda: [slow(degrees(a, b)).id() for a, b in few]),
        "np.sin": (points, lambda: np.sin(angles)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, (count, call) in ways.items():
            taken = cpu_s(call)
            if number:
                rates[name].append(count / taken / 1e6)
    ours = np.array(rates["safelight"])
    ratios = {
        f"safelight/{name}": spread((ours / np.array(rates[name])).tolist()) for name in ways if name != "safelight"
    }
    return {"million_a_core_second": {name: spread(found) for name, found in rates.items()}, "ratio": ratios}


def sort(points: int, rounds: int) -> dict[str, Any]:
    """Seconds for a partition in memory and for the bare sort, and bytes of memory for each byte of ids."""
    before = peak_bytes()
    original = unsorted_ids(points)
    bare: list[float] = []
    ours: list[float] = []
    split: list[float] = []
    found, most = partition(Leaves(original[:0]), RULE), 0
    for _ in range(rounds):
        copy = original.copy()
        start = time.perf_counter()
        leaves = Leaves.of(copy)
        sorted_at = time.perf_counter()
        found = partition(leaves, RULE)
        ours.append(time.perf_counter() - start)
        split.append(time.perf_counter() - sorted_at)
        most = max(most, peak_bytes())
        del leaves
        copy[:] = original
        start = time.perf_counter()
        copy.sort()
        bare.append(time.perf_counter() - start)
        del copy
    return {
        "points": points,
        "cells": len(found.cells),
        "sort_and_split_s": spread(ours),
        "of_it_split_s": spread(split),
        "bare_sort_s": spread(bare),
        "ratio": spread((np.array(ours) / np.array(bare)).tolist()),
        "peak_over_ids": round((most - before) / (8 * points), 3),
        "peak_holds": "the unsorted ids, kept for the next round, and the sorted copy",
    }


def peak_bytes() -> int:
    """The most that this process had resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def corpus(folder: Path, points: int, shards: int) -> str:
    """The photos as a corpus; shards take turns, so that each has some of everything."""
    place = folder / f"geotags-{points}-{shards}"
    if (place / "corpus.json").exists():
        return str(place)
    (place / "all").mkdir(parents=True, exist_ok=True)
    schema = pa.schema([("id", pa.string()), ("latitude", pa.float64()), ("longitude", pa.float64())])
    files = [f"all/part-{number:05d}.parquet" for number in range(shards)]
    writers = [pq.ParquetWriter(place / file, schema, compression="zstd") for file in files]
    rows = [0] * shards
    for number, (latitude, longitude) in enumerate(photos(points)):
        names = pa.array(np.arange(number * CHUNK, number * CHUNK + len(latitude))).cast(pa.string())
        writers[number % shards].write_table(pa.table([names, pa.array(latitude), pa.array(longitude)], schema=schema))
        rows[number % shards] += len(latitude)
    for writer in writers:
        writer.close()
    entries = [_entry(place, file, count) for file, count in zip(files, rows, strict=True)]
    columns = {"latitude": "double", "longitude": "double"}
    (place / "corpus.json").write_text(Corpus(place.name, 1, columns, shards=tuple(entries)).to_json())
    return str(place)


def _entry(place: Path, file: str, rows: int) -> Shard:
    with open(place / file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Shard(file, rows, (place / file).stat().st_size, digest)


def reference(points: int) -> Cells:
    """The cells of one process that has all ids in memory."""
    leaves = Leaves.of(unsorted_ids(points))
    found = partition(leaves, RULE)
    return Cells(found.cells, found.counts, means(sums(leaves, found.cells), found.counts))


def sharded(folder: Path, points: int, shards: int, workers: int) -> dict[str, Any]:
    """Seconds and peaks of the command; again with everything kept; and whether the cells are those of one process."""
    made, place = corpus(folder, points, shards), folder / f"run-{points}-{shards}-{workers}"
    for old in [*place.rglob("*.arrow"), *place.glob("*.parquet")]:
        old.unlink()
    place.mkdir(parents=True, exist_ok=True)
    cold, warm = (command(made, place, workers) for _ in range(2))
    found, wanted = output.read(str(place / "cells.parquet")), reference(points)
    names = ("ids", "counts", "means")
    return {
        "points": points,
        "shards": shards,
        "workers": workers,
        "cold": cold,
        "again_from_state": warm,
        "state_mb": round(sum(file.stat().st_size for file in place.rglob("*.arrow")) / 2**20),
        "cells": len(found),
        "same_bytes": all(getattr(found, name).tobytes() == getattr(wanted, name).tobytes() for name in names),
    }


def command(made: str, place: Path, workers: int) -> dict[str, float]:
    words = [
        "--corpus", made, "--workers", str(workers), "--t-max", str(RULE.t_max), "--t-min", str(RULE.t_min),
        "--output", str(place / "cells.parquet"),
    ]  # fmt: skip
    return watched.run("partition", words, place)


def main() -> None:
    """Print what was asked for."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("part", choices=("ids", "sort", "sharded"))
    words.add_argument("--folder", type=Path, help="where corpora are kept for the next time")
    words.add_argument("--points", type=int)
    words.add_argument("--rounds", type=int)
    words.add_argument("--shards", type=int, default=7)
    words.add_argument("--workers", type=int, default=2)
    asked = words.parse_args()
    if asked.part == "ids":
        found = ids(asked.points or 2_000_000, asked.rounds or 7)
    elif asked.part == "sort":
        found = sort(asked.points or 100_000_000, asked.rounds or 3)
    else:
        if asked.folder is None:
            words.error("sharded needs --folder")
        asked.folder.mkdir(parents=True, exist_ok=True)
        found = sharded(asked.folder.absolute(), asked.points or 126_000_000, asked.shards, asked.workers)
    print(json.dumps({asked.part: found, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
