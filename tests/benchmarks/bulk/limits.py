"""The limits: decoding alone and the net alone, each on one thread, pictures and pixels in memory, nothing written."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from tests.benchmarks.bulk.choice import chosen
from tests.benchmarks.bulk.task import from_arguments
from vision import names

_PICTURES, _SECONDS = 256, 3.0


def rate(work: Callable[[], int]) -> float:
    """Pictures for each CPU-second, after one call that does not count."""
    work()
    start, done = time.process_time(), 0
    while time.process_time() - start < _SECONDS:
        done += work()
    return done / (time.process_time() - start)


def main() -> None:
    """Print `decode`, `forward` and `bound`, pictures for each CPU-second of one thread."""
    task = from_arguments()
    model, asked = chosen(task.model, task.precision)
    images = []
    for path in task.material.paths[:_PICTURES]:
        with open(path, "rb") as stream:
            images.append(stream.read())
    look, batch = model.preprocessing, asked.batch_size
    pixels = [look.load(data) for data in images]
    # The net alone, without reading its logits.
    net = names.room(model.task).predictor(model, asked)._kernel
    batches = [np.stack(pixels[start : start + batch]) for start in range(0, len(pixels), batch)]
    decode = rate(lambda: len([look.load(data) for data in images]))
    forward = rate(lambda: sum(len(net(one)[0]) for one in batches))
    bound = 1 / (1 / decode + 1 / forward)
    json.dump({"decode": decode, "forward": forward, "bound": bound}, sys.stdout)


if __name__ == "__main__":
    main()
