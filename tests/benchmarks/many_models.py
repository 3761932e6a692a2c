"""Ten small nets in one pass, against one decoding and the sum of their forwards.

    python tests/benchmarks/many_models.py --folder many --images 512 --rounds 3

One process, one thread, no Ray and no MLflow: the CPU-seconds of `Worker` over a corpus with ten models, over those
of making the pixels once plus each net's forward alone. 1.15 is the limit; what is above 1 is reading, softmax and
writing ten answers. Prints the rounds and saves JSON.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from jobs import flow
from jobs.predict import Predict
from jobs.spec import Plain
from tests.benchmarks.bulk.corpus import Material, material
from vision import names
from vision.model import Model, load, save
from vision.predictor import Loader
from vision.preprocessing import Preprocessing

NETS = 10
LOOK = Preprocessing(resize=256, crop=224)


def small_nets(folder: Path) -> list[str]:
    """Ten SqueezeNets (1.2 M parameters, 224 x 224) with weights of ten seeds."""
    import torch

    for number in range(NETS):
        place = folder / f"net-{number}"
        if not (place / "model.json").exists():
            torch.manual_seed(number)
            net = names.net("torchvision.models:squeezenet1_1", {}).eval()
            save(Model("torchvision.models:squeezenet1_1", LOOK, ""), place, net=net)
    return [str(folder / f"net-{number}") for number in range(NETS)]


def cpu_s(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def one_round(made: Material, models: list[str], folder: Path) -> dict[str, float]:
    job = Predict(corpus=made.corpus, model=tuple(models), output=str(folder / "answers"), workers=0)
    shutil.rmtree(folder / "answers", ignore_errors=True)
    contexts = [Plain() for _ in models]
    together = cpu_s(lambda: Predict.run_all(job.parts(), contexts))
    images = [path.read_bytes() for path in map(Path, made.paths)]
    loader = Loader((LOOK,))
    decode = cpu_s(lambda: loader.load(images))
    pixels = np.stack(loader.load(images)[LOOK])
    truth, forwards = np.full(len(pixels), -1), 0.0
    reading = flow.read(job)
    for part in job.parts():
        target, _ = flow._prepared(reading, load(part.model[0]), part, lambda _message: None, "cpu")
        predictor = names.room("classification").predictor(target.model, target.asked)
        predictor.answer(list(pixels[:8]), truth[:8])  # warms up
        kernel = predictor._kernel
        batch = target.asked.batch_size
        forwards += cpu_s(lambda k=kernel, b=batch: [k(pixels[s : s + b]) for s in range(0, len(pixels), b)])
    return {"together_s": together, "decode_s": decode, "forwards_s": forwards, "ratio": together / (decode + forwards)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    made, models = material(given.folder, "small", given.images), small_nets(given.folder / "nets")
    one_round(made, models, given.folder)  # makes the artifacts
    rounds = [one_round(made, models, given.folder) for _ in range(given.rounds)]
    for one in rounds:
        print({name: round(value, 3) for name, value in one.items()})
    median = statistics.median(one["ratio"] for one in rounds)
    print(f"ten nets in one pass: {median:.3f} x (one decoding + the sum of the forwards)")
    versions = {name: version(name) for name in ("openvino", "torch", "pillow", "simplejpeg")}
    (given.folder / "many_models.json").write_text(json.dumps({"rounds": rounds, "versions": versions}, indent=1))


if __name__ == "__main__":
    main()
