"""The material of the demo: photographs and handwritten digits that installed packages carry, as files on disk."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from jobs import storage
from jobs.evaluate import Evaluate
from jobs.records import open_corpus
from jobs.spec import SpecError
from vision.model import Model, save
from vision.preprocessing import Preprocessing

# What each photograph shows, as an ImageNet class where there is one: labels of ours, by eye.
PHOTOS: dict[str, tuple[str, int | None]] = {
    "astronaut.png": ("skimage", None),
    "camera.png": ("skimage", 872),  # tripod
    "chelsea.png": ("skimage", 281),  # tabby
    "coffee.png": ("skimage", 967),  # espresso
    "motorcycle_left.png": ("skimage", None),
    "rocket.jpg": ("skimage", 657),  # missile
    "china.jpg": ("sklearn", 698),  # palace
    "flower.jpg": ("sklearn", None),
}
_FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
_NEEDED = "the demo needs the extra [demo]: pip install 'safelight[demo]'"
TRAIN = 1000
"""Digits to learn from; the other 797 are the test."""


def write_photos(folder: Path) -> Path:
    """The photographs and a `photos.csv` with their labels; returns the CSV."""
    lines = ["file,class_index"]
    for name, (package, label) in PHOTOS.items():
        _write(folder / name, (_inside(package) / _FOLDERS[package] / name).read_bytes())
        lines.append(f"{name},{'' if label is None else label}")
    _write(folder / "photos.csv", "\n".join([*lines, ""]).encode())
    return folder / "photos.csv"


def _write(path: Path, data: bytes) -> None:
    """Write a file, unless it is there already: a second demo finds its records unchanged."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != data:
        path.write_bytes(data)


def _inside(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise SpecError(_NEEDED)
    return Path(found.origin).parent


def write_digits(folder: Path) -> Path:
    """scikit-learn's 1,797 handwritten digits (8 x 8, 16 grey levels) as PNG files in train/ and test/ by class."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise SpecError(_NEEDED) from None
    from PIL import Image

    digits = load_digits()
    for number, (grey, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / ("train" if number < TRAIN else "test") / str(label) / f"{number:04d}.png"
        buffer = io.BytesIO()
        Image.fromarray(np.rint(grey * 255 / 16).astype(np.uint8)).save(buffer, "PNG")
        _write(path, buffer.getvalue())
    return folder


def train_digits(corpus_url: str, folder: Path, epochs: int) -> Model:
    """A LeNet-5 trained on the `train` split of the digits, as a model folder."""
    import torch

    from vision import names
    from vision.training import fit

    url, corpus = open_corpus(corpus_url)
    look = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    tables = [pq.read_table(storage.join(url, shard.file)) for shard in corpus.present("train")]
    images = [data for table in tables for data in table["image"].to_pylist()]
    labels = [label for table in tables for label in table["label"].to_pylist()]
    inputs = torch.from_numpy(look.normalise(np.stack([look.load(data) for data in images])))
    arguments = {"classes": 10, "channels": 3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = names.net("nets.lenet:lenet5", arguments)
        list(fit(net, inputs, torch.tensor(labels), epochs, seed=0))
    described = Model("nets.lenet:lenet5", look, weights="", arguments=arguments, classes=corpus.classes)
    return save(described, folder, net=net)


def said(output: str) -> list[tuple[str, str, float, str]]:
    """(file, answer, score, whether it is right) for each photograph."""
    answers = Evaluate(predictions=output).answers()
    classes = answers.corpus.classes or ()
    rows = []
    for row in next(answers.tables()).to_pylist():
        label, truth = row["predicted_label"], row["label"]
        verdict = "no class of ImageNet" if truth is None else "right" if truth == label else f"is {classes[truth]}"
        rows.append((row["id"], classes[label], row["predicted_score"], verdict))
    return rows
