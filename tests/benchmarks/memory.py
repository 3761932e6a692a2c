"""Peak memory of predict: of the driver at two numbers of rows, and of a worker with a real net.

    python -m tests.benchmarks.memory --folder DIR [--rows 1000 100000]

A driver may hold names and counts, never rows, so its peak must not follow their number; that is measured with pictures
of 8 x 8 and a small net, and one Ray worker, so that driver and worker are two processes. A worker's peak is measured
on mobilenet_v3_large. Peaks are `VmHWM`, the system's own mark of the most that was resident. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from jobs.ingest import Ingest
from tests.benchmarks import watched
from tests.benchmarks.bulk.corpus import material
from tests.benchmarks.bulk.models import model_folder
from tests.benchmarks.bulk.photos import write
from tests.benchmarks.bulk_inference import machine
from tests.benchmarks.s3_latency import fresh
from vision.model import Model, save
from vision.names import net
from vision.preprocessing import Preprocessing

SHARD_ROWS = 500


def tiny_corpus(folder: Path, rows: int) -> str:
    """PNGs of 8 x 8, each of its own colour."""
    corpus = folder / f"tiny-{rows}"
    if not (corpus / "corpus.json").exists():
        colours = np.random.default_rng(0).integers(0, 256, (rows, 3), np.uint8)
        table = pa.table({"id": [f"{n:06d}" for n in range(rows)], "image": [_png(colour) for colour in colours]})
        pq.write_table(table, folder / f"tiny-{rows}.parquet", row_group_size=SHARD_ROWS)
        source = str(folder / f"tiny-{rows}.parquet")
        Ingest(
            source=source, layout="table", image_column="image", id_column="id", corpus=str(corpus),
            shard_rows=SHARD_ROWS, workers=0,
        ).run()  # fmt: skip
    return str(corpus)


def _png(colour: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), tuple(int(value) for value in colour)).save(buffer, "PNG")
    return buffer.getvalue()


def tiny_model(folder: Path) -> str:
    """A LeNet-5 with drawn weights."""
    place = folder / "models" / "lenet5"
    if not (place / "model.json").exists():
        look = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        arguments = {"classes": 10, "channels": 3}
        built = net("nets.lenet:lenet5", arguments)
        save(Model("nets.lenet:lenet5", look, "", arguments), place, net=built)
    return str(place)


def peaks(corpus: str, model: str, folder: Path, workers: int) -> dict[str, float]:
    """Megabytes of the driver and of the largest worker, in one run of predict."""
    words = [
        "--corpus", corpus, "--model", model, "--output", str(fresh(folder / "output")), "--workers", str(workers),
    ]  # fmt: skip
    return watched.run("predict", words, folder)


def main() -> None:
    """Print the peaks."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--folder", type=Path, required=True)
    words.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000])
    words.add_argument("--images", type=int, default=512, help="pictures for the worker's peak")
    asked = words.parse_args()
    folder = asked.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    small, place = tiny_model(folder), folder / "runs" / "memory"
    peaks(tiny_corpus(folder, 100), small, place, 0)  # makes the artifact and MLflow's database
    drivers = {str(rows): peaks(tiny_corpus(folder, rows), small, place, 1) for rows in asked.rows}
    model = model_folder(folder / "models", "mobilenet_v3_large", write(folder / "photos", "small"))
    pictures = material(folder, "small", asked.images).corpus
    peaks(material(folder, "small", 64).corpus, model, place, 0)
    workers = {f"workers_{count}": peaks(pictures, model, place, count) for count in (0, 1)}
    print(json.dumps({"rows": drivers, "mobilenet_v3_large": workers, "machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
