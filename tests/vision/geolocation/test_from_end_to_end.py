"""From 5,000 photos to a verdict: ingest, partition, train, predict, evaluate, duel, explain, on two cores.

Each photo is noise but for a square somewhere in it, whose colours tell where it was taken. So a net can learn the
globe, a guess that knows photos are taken in some places more often than in others cannot, and it is known where in the
photo the answer lies.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.spec import Report
from tests.placed import Box, everywhere, photo
from tests.recipes import guess, run
from vision.occlusion import Occlusion, share_within

PHOTOS, SIDE, CUE = 5000, 28, 12


def cue(number: int) -> Box:
    """Where the square of a photo lies: a fifth of the photo."""
    left, top = np.random.default_rng((77, number)).integers(0, SIDE - CUE + 1, 2).tolist()
    return left, top, left + CUE, top + CUE


def photos() -> None:
    lines = ["file,lat,lon,split"]
    for number, place in enumerate(everywhere(PHOTOS, 5)):
        Path(f"{number}.png").write_bytes(photo(place, number, SIDE, cue(number)))
        lines.append(f"{number}.png,{place[0]:.6f},{place[1]:.6f},{'test' if number % 5 == 0 else 'train'}")
    Path("photos.csv").write_text("\n".join(lines) + "\n")


def words(text: str, **more: Any) -> Report:
    return run([*text.split(), *(word for name, value in more.items() for word in (f"--{name}", str(value)))])


def trained() -> Report:
    """The corpus, its cells, and a net of them."""
    Path("look.json").write_text('{"resize": [28, 28], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}')
    words("ingest --source photos.csv --layout geotagged --path-column file --split-column split --corpus photos")
    words("partition --corpus photos --split train --t-max 400 --t-min 4 --output coarse.parquet")
    words("partition --corpus photos --split train --t-max 30 --t-min 4 --output fine.parquet")
    return words(
        "train --corpus photos --split train --net nets.lenet:lenet5 --task geolocation "
        "--cells coarse.parquet,fine.parquet --smoothing-km 250 --preprocess look.json --optimizer adamw "
        "--learning-rate 0.004 --batch-size 64 --epochs 25 --output planet",
        arguments='{"channels":3}',
    )


def shares_within_cues(folder: str) -> np.ndarray[Any, Any]:
    """(N,) of each photo that has a map, how much of it lies within the photo's own square."""
    method, found = Occlusion(7, 3), []
    for file in Path(folder).rglob("*.parquet"):
        for row in pq.read_table(file, columns=["id", "map"]).to_pylist():
            if row["map"] is not None:
                heat = method.heat(np.array(row["map"]), (SIDE, SIDE))
                found.append(share_within(heat, cue(int(row["id"].removesuffix(".png")))))
    return np.array(found)


@pytest.mark.slow
def test_places_are_learnt_scored_played_and_explained() -> None:
    pytest.importorskip("faiss")
    photos()
    begun = time.monotonic()
    trained()
    for split in ("train", "test"):
        words(f"predict --corpus photos --split {split} --model planet --embedding tanh4 --output seen_{split}")
    scored = words("evaluate --predictions seen_test --task geolocation --cells coarse.parquet,fine.parquet")
    took_s = time.monotonic() - begun
    seen, blind = scored.metrics["within_750_km"], guess().metrics["within_750_km"]
    assert seen.n == blind.n == PHOTOS // 5
    assert seen.value >= 3 * blind.value and seen.low > blind.high
    words("im2gps --train-predictions seen_train --test-predictions seen_test --output neighbours")
    played = words("evaluate --predictions seen_test --task geolocation --against neighbours")
    (match,) = played.tables["duel"].to_pylist()
    assert match["rounds"] == PHOTOS // 5 and match["verdict"] in ("won", "lost")
    explained = words(
        "explain --corpus photos --split test --model planet --sample 300 --square 7 --stride 3 --fill grey "
        "--output maps"
    )
    inside, area = shares_within_cues("maps"), CUE**2 / SIDE**2
    assert explained.metrics["mapped"].value > 0.95 and len(inside) > 285
    # Squares that only touch the cue spread its share round it, so all of it cannot be within.
    assert np.mean(inside) > 2 * area and np.mean(inside > area) > 0.7
    print(f"{took_s:.0f} s on {len(os.sched_getaffinity(0))} cores; within 750 km {seen}, prior only {blind}; {match};")
    print(f"{np.mean(inside):.3f} of the maps within {area:.3f} of the area, in {np.mean(inside > area):.1%} more")
    assert took_s < 600
