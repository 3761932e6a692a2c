"""Photos placed by neighbours: from embeddings to predictions that are scored, whatever the shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.evaluate import Evaluate
from jobs.im2gps import Im2gps
from jobs.predict import Predict
from jobs.spec import SpecError
from tests.placed import write_corpus
from vision.model import Model, save
from vision.preprocessing import Preprocessing

pytest.importorskip("faiss")
LOOK = Preprocessing(resize=(40, 40), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def embedded(tmp_path: Path) -> str:
    """A corpus of placed photos, described by im2gps's own means."""
    from vision.geolocation.described import descriptors

    arguments: dict[str, Any] = {"names": "tiny,colour", "mean": LOOK.mean, "std": LOOK.std}
    save(
        Model("geolocation.described:descriptors", LOOK, "", arguments), tmp_path / "eyes", net=descriptors(**arguments)
    )
    corpus = write_corpus(tmp_path / "photos", {"train": 120, "val": 40})
    for split in ("train", "val"):
        predict(corpus, split, f"seen_{split}")
    return corpus


def predict(corpus: str, split: str, output: str) -> None:
    fields: dict[str, Any] = {"corpus": corpus, "split": split, "output": output, "workers": 0}
    Predict(**fields, model=("eyes",), embedding="descriptor").run()


def job(**changed: Any) -> Im2gps:
    fields: dict[str, Any] = {
        "train_predictions": "seen_train", "test_predictions": "seen_val", "output": "out", "k": 10, "by": "first",
    }  # fmt: skip
    return Im2gps(**{**fields, **changed})


def answers(output: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pq.read_table(Path(output, "val")).sort_by("id").to_pydict()
    return found


def test_neighbours_place_photos(embedded: str) -> None:
    for by in ("first", "density", "mean-shift"):
        report = job(by=by, output=by).run()
        assert report.metrics["within_750_km"].value > 0.8 and report.metrics["within_750_km"].n == 40
        assert report.metrics == Evaluate(predictions=by, task="geolocation").run().metrics
        assert report.tags["references"] == "120"
    # The mode lies between photos; the densest place is snapped to one of them.
    known = set(pq.read_table(f"{embedded}/train")["latitude"].to_pylist())
    assert set(answers("first")["latitude"]) <= known and set(answers("density")["latitude"]) <= known
    assert not set(answers("mean-shift")["latitude"]) & known


def test_the_first_neighbour_is_the_nearest(embedded: str) -> None:
    job().run()
    seen = {split: pq.read_table(f"seen_{split}/{split}").sort_by("id") for split in ("train", "val")}
    features = {split: np.stack(table["embedding"].to_pylist()).astype(np.float64) for split, table in seen.items()}
    nearest = ((features["val"][:, None] - features["train"][None]) ** 2).sum(axis=2).argmin(axis=1)
    places = pq.read_table(f"{embedded}/train").sort_by("id")["latitude"].to_numpy()
    assert answers("out")["latitude"] == places[nearest].tolist()


def test_shards_do_not_matter_and_all_lists_are_exact(embedded: str, tmp_path: Path) -> None:
    job().run()
    other = write_corpus(tmp_path / "again", {"train": 120, "val": 40}, shard_rows=25)
    for split in ("train", "val"):
        predict(other, split, f"other_{split}")
    job(train_predictions="other_train", test_predictions="other_val", output="other").run()
    job(lists=4, probes=4, output="lists").run()
    assert answers("other") == answers("out") == answers("lists")


def test_what_is_refused(embedded: str) -> None:
    job().run()
    for changed, wrong in (
        ({"k": 5}, "out holds other predictions: k is 10 there and 5 now"),
        ({"test_predictions": "seen_train", "output": "x"}, "the same records as train_predictions"),
        ({"lists": 500, "output": "y"}, "lists must be 1 to 120"),
        ({"split": "val", "output": "z"}, "split: im2gps reads the corpus and split"),
        ({"train_predictions": "out", "output": "w"}, "out holds no embeddings"),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(**changed).run()
