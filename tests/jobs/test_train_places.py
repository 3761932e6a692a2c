"""A net of places from the corpus to the evaluation: trained, answered, scored, gone on with, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.evaluate import Evaluate
from jobs.predict import Predict
from jobs.spec import SpecError
from jobs.train import Train
from tests.placed import cells_of, places_of, write_cells, write_corpus
from vision.model import load
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    """200 photos to learn from and 60 to be scored on, beside files of a coarse and a fine partition."""
    places = places_of(2000, 77)
    write_cells(tmp_path / "coarse.parquet", cells_of(places, 600))
    write_cells(tmp_path / "fine.parquet", cells_of(places, 150))
    (tmp_path / "look.json").write_text(json.dumps(LOOK.to_dict()))
    return write_corpus(tmp_path / "photos", {"train": 200, "val": 60})


def job(corpus: str, **changed: Any) -> Train:
    fields: dict[str, Any] = {
        "corpus": corpus, "split": "train", "val_split": "val", "net": "nets.chain:chain", "task": "geolocation",
        "cells": "coarse.parquet,fine.parquet", "output": "out", "arguments": '{"depth": 1}',
        "preprocess": "look.json", "epochs": 12, "batch_size": 20, "micro_batch": 20, "optimizer": "adamw",
        "learning_rate": 1e-2, "workers": 0, "smoothing_km": 65,
    }  # fmt: skip
    return Train(**{**fields, **changed})


def test_trained_answered_and_scored(corpus: str) -> None:
    report = job(corpus).run()
    assert report.metrics["within_750_km"].value > 0.8  # the most frequent of the towns would be right in a third
    assert {"train_right_cell", "median_km", "calibration_error"} <= set(report.metrics)
    model = load("out")
    assert model.task == "geolocation" and model.classes is None
    assert [one["name"] for one in model.decoding["partitions"]] == ["coarse", "fine"]
    Predict(corpus=corpus, split="val", model=("out",), output="answers", workers=0).run()
    answers = pq.read_table("answers/val/part-00000.parquet")
    assert {"latitude", "longitude", "cell", "score", "top_cells", "top_scores"} <= set(answers.column_names)
    scored = Evaluate(predictions="answers", task="geolocation").run()
    assert scored.metrics["within_750_km"] == report.metrics["within_750_km"]
    # The validation of the last epochs counted the same.
    curve = report.tables["validation"].to_pylist()
    assert max(row["within_1_km"] for row in curve) == pytest.approx(report.metrics["within_1_km"].value)


def test_several_looks_have_one_answer(corpus: str) -> None:
    job(corpus, epochs=1, val_split=None).run()
    report = Predict(corpus=corpus, split="val", model=("out",), output="flipped", flip=True, workers=0).run()
    assert report.errors == 0
    assert pq.read_table("flipped/val/part-00000.parquet")["latitude"].null_count == 0


def test_other_cells_take_a_new_head_and_the_same_go_on(corpus: str) -> None:
    job(corpus, epochs=1, val_split=None).run()
    same = {"net": None, "model": "out", "arguments": "{}", "epochs": 1, "val_split": None}
    on = job(corpus, **same, output="on", position="centre").run()
    assert load("on").decoding["at"] == "centre" and on.metrics["train_right_cell"].n == 200
    job(corpus, **same, output="other", cells="fine.parquet").run()
    assert len(load("other").decoding["partitions"]) == 1
    assert load("other").build().state_dict().keys() == load("out").build().state_dict().keys()


def test_a_training_goes_on_only_with_its_cells(corpus: str) -> None:
    job(corpus, epochs=1, val_split=None).run()
    with pytest.raises(SpecError, match=r"out holds another training: (begins_with|arguments|cells_sha256)"):
        job(corpus, epochs=1, val_split=None, cells="fine.parquet").run()
    with pytest.raises(SpecError, match="smoothing_km is 65"):
        job(corpus, epochs=1, val_split=None, smoothing_km=0).run()


def test_what_is_refused(corpus: str) -> None:
    for changed, wrong in (
        ({"cells": ()}, "cells: a net of places needs some"),
        ({"cells": "nowhere.parquet"}, "there are no cells; make them with"),
        ({"cells": "look.json"}, "look.json: "),
        ({"task": "classification"}, "cells: the task classification has no use for it"),
        ({"task": "globes"}, "there is no task 'globes'"),
        ({"label_smoothing": 0.1}, "smoothed over all cells"),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(corpus, **changed).run()
    with pytest.raises(ValueError, match="carries no cells"):
        Predict(corpus=corpus, split="val", model=(_bare(),), output="x", workers=0).run()


def _bare() -> str:
    """A model that says it places photos, without cells."""
    from vision import names
    from vision.model import Model, save

    arguments = {"depth": 1, "classes": 4}
    model = Model("nets.chain:chain", LOOK, "", arguments, task="geolocation")
    save(model, Path("bare"), net=names.net(model.net, arguments))
    return "bare"
