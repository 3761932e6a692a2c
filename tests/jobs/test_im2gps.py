"""Photos placed by neighbours: from embeddings to predictions that are scored, whatever the shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.evaluate import Evaluate
from jobs.heads import Heads
from jobs.im2gps import Im2gps
from jobs.predict import Predict
from jobs.spec import SpecError
from tests.placed import cells_of, places_of, write_cells, write_corpus
from vision import names
from vision.geolocation import s2
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


@pytest.fixture
def placed(embedded: str, tmp_path: Path) -> str:
    """The answers of a net that knows a few large cells to the same photos."""
    cells = write_cells(tmp_path / "cells.parquet", cells_of(places_of(2000, 77), 700, 20))
    arguments = {"depth": 1, "classes": 4}
    small = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    save(
        Model("nets.chain:chain", small, "", arguments), tmp_path / "body", net=names.net("nets.chain:chain", arguments)
    )
    words: dict[str, Any] = {"corpus": embedded, "workers": 0}
    Predict(**words, split="train", model=("body",), embedding="2", output="body_train").run()
    Heads(model="body", train_predictions="body_train", task="geolocation", cells=(cells,), output="net").run()
    Predict(**words, split="val", model=("net",), output="net_val").run()
    return embedded


def test_search_inside_the_cells_of_a_net_is_nearer_than_the_net(placed: str) -> None:
    report = job(by="cells", answers="net_val").run()
    alone = Evaluate(predictions="net_val", task="geolocation").run().metrics
    assert report.metrics["within_200_km"].low > alone["within_200_km"].high
    assert report.metrics["median_km"].high < alone["median_km"].low
    truths = {row["id"]: row for row in pq.read_table(Path(placed, "train")).to_pylist()}
    places = {(row["latitude"], row["longitude"]) for row in truths.values()}
    found, said = answers("out"), answers("net_val")
    chosen, own = (list(zip(one["latitude"], one["longitude"], strict=True)) for one in (found, said))
    moved = [place in places for place in chosen]
    # Where no photo is near enough to the net's answer, that one stays.
    assert sum(moved) > 20 and all(there or place == net for there, place, net in zip(moved, chosen, own, strict=True))
    for there, place, cells in zip(moved, chosen, said["top_cells"], strict=True):
        leaf = s2.ids(np.array([place[0]]), np.array([place[1]]))
        assert not there or s2.contains(s2.from_tokens(cells), leaf).any()


def test_search_inside_cells_does_not_depend_on_shards(placed: str, tmp_path: Path) -> None:
    job(by="cells", answers="net_val").run()
    other = write_corpus(tmp_path / "again", {"train": 120, "val": 40}, shard_rows=17)
    for split in ("train", "val"):
        predict(other, split, f"other_{split}")
    Predict(corpus=other, split="val", model=("net",), output="other_net", workers=0).run()
    words = {"train_predictions": "other_train", "test_predictions": "other_val", "answers": "other_net"}
    job(by="cells", output="other", **words).run()
    assert answers("other") == answers("out")


def test_what_search_inside_cells_refuses(placed: str) -> None:
    job(by="first").run()
    Predict(corpus=placed, split="train", model=("net",), output="net_train", workers=0).run()
    for changed, wrong in (
        ({"by": "cells"}, "answers: what --by cells searches the cells of, and only that: give both or neither"),
        ({"answers": "net_val"}, "answers: what --by cells searches the cells of, and only that"),
        ({"by": "cells", "answers": "net_train"}, "answers: of split train, and the photos are of val"),
        ({"by": "cells", "answers": "out", "output": "x"}, "out has no column top_cells: a net of cells gives them"),
        ({"by": "cells", "answers": "net_val"}, "out holds other predictions: answers_of is None there and "),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(**changed).run()
