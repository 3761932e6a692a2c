"""How fast JPEGs become pixels: images per CPU-second of one thread, all ways in turn in one interleaved run.

    python tests/benchmarks/decoding.py [--rounds 11] [--json FILE]

Photographs that travel inside scikit-learn are cropped, turned, resized and grained so that they compress like
photographs (about 66 KB at 500x375, 750 KB at 2048x1536); the third size, 4032x3024, is one that the decoder may
scale. Each is decoded, its short side resized to 256 and its middle 224x224 cut out, by
  plain      Pillow alone: open, convert, resize, crop
  load       `Preprocessing.load`, exact at any size
  bulk       `Preprocessing.load` as jobs call it, which lets the decoder scale large photographs
beside the parts
  pillow     Pillow's decoding only
  bare       simplejpeg's decoding only: the bound for whatever decodes whole pictures with libjpeg-turbo
and how far `load` and `bulk` are from `plain`, in grey levels.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg  # type: ignore[import-untyped]
from PIL import Image, features

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from cluster.provenance import git_commit  # noqa: E402
from vision.image import decoder_version  # noqa: E402
from vision.preprocessing import Preprocessing  # noqa: E402

Array = npt.NDArray[Any]

SIZES = {"500x375": (500, 375, 88, 5), "2048x1536": (2048, 1536, 90, 4), "4032x3024": (4032, 3024, 88, 3)}
"""Width, height, JPEG quality, grain."""

LOOK = Preprocessing.named("imagenet")


def photographs(width: int, height: int, quality: int, grain: float, count: int) -> list[bytes]:
    """JPEGs made from real photographs, the same ones every time."""
    from sklearn.datasets import load_sample_images

    made = []
    for number in range(count):
        rng = np.random.default_rng(number)
        source = Image.fromarray(load_sample_images().images[number % 2])
        left, top = rng.integers(0, 120), rng.integers(0, 60)
        scene = source.crop((left, top, left + 480, top + 360)).resize((width, height), Image.Resampling.BICUBIC)
        noisy = np.asarray(scene) + rng.normal(0, grain, (height, width, 1))
        picture = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        made.append(encoded(picture if number % 4 < 2 else picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality))
    return made


def encoded(picture: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def plain(data: bytes) -> Array:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    short = 256 / min(image.size)
    size = tuple(256 if side == min(image.size) else int(short * side) for side in image.size)
    left, top = (round((side - 224) / 2) for side in size)
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224)))


WAYS: dict[str, Callable[[bytes], Any]] = {
    "plain": plain,
    "load": lambda data: LOOK.load(data, shrink=False),
    "bulk": LOOK.load,
    "pillow": lambda data: Image.open(io.BytesIO(data)).load(),
    "bare": simplejpeg.decode_jpeg,
}


def measured(files: list[bytes], rounds: int) -> dict[str, Any]:
    """Images per CPU-second, every way in turn in each round, after one round to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            started = time.process_time()
            for data in files:
                way(data)
            if number:
                rates[name].append(len(files) / (time.process_time() - started))
    ratio = {
        f"{name}/{base}": spread(np.divide(rates[name], rates[base])) for base in ("plain", "bare") for name in WAYS
    }
    return {"img_per_cpu_s": {name: spread(np.array(found)) for name, found in rates.items()}, "ratio": ratio}


def spread(values: Array) -> dict[str, float]:
    low, middle, high = (round(float(v), 3) for v in np.quantile(values, [0.25, 0.5, 0.75]))
    return {"median": middle, "quarter": low, "three_quarters": high}


def distance(files: list[bytes], name: str) -> dict[str, float]:
    """Mean grey levels from `plain`: over all files, and on the worst."""
    means = [float(np.abs(WAYS[name](data).astype(int) - plain(data)).mean()) for data in files]
    return {"mean": round(float(np.mean(means)), 4), "worst": round(max(means), 4)}


def machine() -> dict[str, Any]:
    named = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "cpu": named[0].split(":")[1].strip() if named else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "decoder": decoder_version(),
        "pillow_libjpeg_turbo": features.version("libjpeg_turbo"),
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=11)
    words.add_argument("--json", type=Path, help="where to write the figures")
    given = words.parse_args()
    record: dict[str, Any] = {"machine": machine(), "commit": git_commit(ROOT), "rounds": given.rounds, "sizes": {}}
    for size, settings in SIZES.items():
        files = photographs(*settings, count=16 if size == "500x375" else 4)
        found = measured(files, given.rounds)
        found["kilobytes"] = round(sum(map(len, files)) / len(files) / 1000, 1)
        found["grey_levels"] = {name: distance(files, name) for name in ("load", "bulk")}
        record["sizes"][size] = found
        print(f"{size}, {found['kilobytes']} KB, images per CPU-second (median, quarters), times plain, times bare:")
        for name, rate in found["img_per_cpu_s"].items():
            over = [found["ratio"][f"{name}/{base}"]["median"] for base in ("plain", "bare")]
            quarters = f"{rate['quarter']:.1f}..{rate['three_quarters']:.1f}"
            print(f"  {name:8}{rate['median']:9.1f}  {quarters:>16}  {over[0]:6.2f} {over[1]:6.2f}")
        print(f"  grey levels from plain: {found['grey_levels']}")
    if given.json:
        given.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
