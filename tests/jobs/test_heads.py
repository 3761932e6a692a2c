"""Heads on stored embeddings: learnt without pictures, and a model that answers pictures the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jobs.evaluate import Evaluate
from jobs.heads import Heads
from jobs.predict import Predict
from jobs.spec import JobFailed, SpecError
from tests.making import CorpusMaker, rows_of
from tests.placed import cells_of, places_of, write_cells, write_corpus
from vision.model import Model, load, save
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def body(folder: str = "body") -> str:
    """A net that has learnt nothing; its second layer is a picture of 8 x 8 pixels."""
    import torch

    from vision.nets.chain import chain

    torch.manual_seed(0)
    arguments = {"depth": 1, "classes": 4}
    save(Model("nets.chain:chain", LOOK, "", arguments), Path(folder), net=chain(**arguments))
    return folder


@pytest.fixture
def embedded(tmp_path: Path) -> str:
    """A corpus of placed photos with embeddings of both splits, and two files of cells."""
    places = places_of(2000, 77)
    write_cells(tmp_path / "coarse.parquet", cells_of(places, 600))
    write_cells(tmp_path / "fine.parquet", cells_of(places, 150))
    corpus = write_corpus(tmp_path / "photos", {"train": 200, "val": 60})
    body()
    for split in ("train", "val"):
        _predict(corpus, split, "body")
    return corpus


def _predict(corpus: str, split: str, model: str, **asked: Any) -> None:
    fields = {"embedding": "2", "output": f"seen_{split}", **asked}
    Predict(corpus=corpus, split=split, model=(model,), workers=0, kernel="torch", **fields).run()


def job(**changed: Any) -> Heads:
    fields: dict[str, Any] = {
        "model": "body", "train_predictions": "seen_train", "test_predictions": "seen_val", "task": "geolocation",
        "cells": "coarse.parquet,fine.parquet", "output": "out", "epochs": 15, "batch_size": 32,
    }  # fmt: skip
    return Heads(**{**fields, **changed})


def test_a_head_learns_and_its_model_answers_pictures_the_same(embedded: str) -> None:
    report = job().run()
    assert report.metrics["within_750_km"].value > 0.8
    assert report.metrics["train_right_cell"].n == 200
    losses = report.tables["curve"]["loss"].to_pylist()
    assert len(losses) == 15 and losses[-1] < losses[0] / 2
    model = load("out")
    assert model.net == "nets.headed:headed" and model.task == "geolocation"
    _predict(embedded, "val", "out", embedding=None, output="answers")
    scored = Evaluate(predictions="answers", task="geolocation").run()
    for name in ("within_1_km", "within_25_km", "within_750_km"):
        assert scored.metrics[name] == report.metrics[name]
    assert scored.metrics["median_km"].value == pytest.approx(report.metrics["median_km"].value, rel=1e-3)


def test_it_does_not_depend_on_shards(embedded: str, tmp_path: Path) -> None:
    job(test_predictions=None).run()
    other = write_corpus(tmp_path / "again", {"train": 200, "val": 60}, shard_rows=64)
    _predict(other, "train", "body", output="seen_again")
    job(test_predictions=None, train_predictions="seen_again", output="other").run()
    assert load("out").digest == load("other").digest
    assert job(test_predictions=None, seed=1, output="third").run().tags["model_digest"] != load("out").digest


def test_a_hidden_layer(embedded: str) -> None:
    report = job(width=16, epochs=3).run()
    assert load("out").arguments["width"] == 16 and "within_25_km" in report.metrics


def test_labels_are_learnt_by_the_same_job(make_corpus: CorpusMaker) -> None:
    corpora = {
        "train": make_corpus(rows_of(60), "a", split="train"),
        "val": make_corpus(rows_of(30, 500), "b", split="val"),
    }
    body()
    for split, corpus in corpora.items():
        _predict(corpus, split, "body")
    report = job(task="classification", cells=()).run()
    assert report.metrics["top1"].n == 30 and load("out").classes == ("disc", "square", "stripes")
    _predict(corpora["val"], "val", "out", embedding=None, output="answers")
    assert Evaluate(predictions="answers").run().metrics["top1"] == report.metrics["top1"]
    answers = pq.read_table("answers/val")
    assert set(np.unique(answers["label"])) <= {0, 1, 2}


def test_what_is_refused(embedded: str) -> None:
    _predict(embedded, "val", "body", output="plain", embedding=None)
    _predict(embedded, "val", "body", output="deep", embedding="4")
    for changed, wrong in (
        ({"train_predictions": "plain"}, "plain holds no embeddings"),
        (
            {"test_predictions": "deep"},
            "test_predictions: embeddings of layer 4 of model .* learnt from are of layer 2",
        ),
        ({"test_predictions": "seen_train"}, "the same records as train_predictions"),
        ({"model": "nets.chain:chain"}, "train_predictions: embeddings of layer 2 of model .* and --model is"),
        ({"cells": ()}, "cells: a net of places needs some"),
        ({"corpus": embedded}, "corpus: heads read the corpus"),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(**changed).run()
    job(epochs=1, test_predictions=None).run()
    with pytest.raises(JobFailed, match="out holds another model"):
        job(epochs=2, test_predictions=None).run()
