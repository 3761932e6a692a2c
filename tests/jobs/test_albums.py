"""Photos of an album answered together: from stored logits to predictions that are better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from jobs.album import lstm
from jobs.albums import Albums
from jobs.evaluate import Evaluate
from jobs.heads import Heads
from jobs.predict import Predict
from jobs.spec import JobFailed, SpecError
from tests.placed import TOWNS, cells_of, places_of, write_cells, write_corpus
from vision import names
from vision.geolocation.globe import Globe
from vision.geolocation.planet import posteriors
from vision.model import Model, load, save
from vision.preprocessing import Preprocessing

LOOK = Preprocessing(resize=(28, 28), crop=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
GLOBE = Globe.of([("cells", cells_of(places_of(2000, 77), 300, 20))])


@pytest.fixture
def answered(tmp_path: Path) -> str:
    """60 photos in albums of 5, in shards of 13, and the answers of a net that has seen nothing."""
    corpus = write_corpus(tmp_path / "photos", {"val": 60}, shard_rows=13, album=5)
    arguments = {"depth": 1, "classes": GLOBE.outputs}
    torch.manual_seed(0)
    model = Model("nets.chain:chain", LOOK, "", arguments, task="geolocation", decoding=GLOBE.to_dict())
    save(model, tmp_path / "net", net=names.net(model.net, arguments))
    Predict(corpus=corpus, model=("net",), output="alone", keep_logits=True, workers=0).run()
    Predict(corpus=corpus, model=("net",), output="bare", workers=0).run()
    return corpus


def job(**changed: Any) -> Albums:
    return Albums(**{"predictions": "alone", "model": "net", "output": "out", **changed})


def rows(folder: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(Path(folder, "val")).sort_by("id").to_pylist()
    return found


def test_the_mean_over_an_album(answered: str) -> None:
    report = job(by="mean").run()
    assert report.tags["albums"] == "12" and report.metrics["within_750_km"].n == 60
    assert report.metrics == Evaluate(predictions="out", task="geolocation").run().metrics
    alone, together = rows("alone"), rows("out")
    logs = posteriors(load("net")).fine(np.array([row["logits"] for row in alone]))
    for start in range(0, 60, 5):
        members = [n for n in range(start, start + 5) if n % 20]  # every 20th is in no album
        best = GLOBE.tokens[logs[members].mean(axis=0).argmax()]
        assert {together[n]["cell"] for n in members} == {best}
    for n in (0, 20, 40):
        assert together[n]["cell"] == alone[n]["cell"]
        assert together[n]["score"] == pytest.approx(alone[n]["score"], rel=1e-5)


def test_nobody_flies_within_ten_minutes(answered: str) -> None:
    job(by="viterbi", speed_km_h=0, slack_km=0, output="still").run()
    still = rows("still")
    for start in range(0, 60, 5):
        assert len({still[n]["cell"] for n in range(start, start + 5) if n % 20}) == 1
    job(by="viterbi", speed_km_h=1e9, output="free").run()
    assert [row["cell"] for row in rows("free")] == [row["cell"] for row in rows("alone")]


def test_fading(answered: str) -> None:
    job(by="decayed", scale_s=1e-3, output="short").run()
    job(by="decayed", scale_s=1e12, output="long").run()
    job(by="mean").run()
    assert [row["cell"] for row in rows("short")] == [row["cell"] for row in rows("alone")]
    assert [row["cell"] for row in rows("long")] == [row["cell"] for row in rows("out")]


def test_what_is_refused(answered: str) -> None:
    job(by="mean").run()
    for changed, wrong in (
        ({"predictions": "bare", "output": "a"}, "bare holds no logits"),
        ({"model": "nets.chain:chain", "output": "b"}, r"predictions: of model \w+, and --model is"),
        ({"album": "albun", "output": "c"}, "album: no column 'albun'; did you mean album?"),
        ({"by": "viterbi"}, "out holds other predictions: albums_by is 'mean' there and 'viterbi' now"),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(**changed).run()


@pytest.fixture
def embedded(tmp_path: Path) -> str:
    """Albums of 8 to learn from and others to be answered, seen by a net whose cells were learnt from single photos."""
    corpus = write_corpus(tmp_path / "photos", {"train": 240, "val": 80}, shard_rows=33, album=8)
    torch.manual_seed(0)
    save(
        Model("nets.chain:chain", LOOK, "", {"depth": 1, "classes": 4}), tmp_path / "body",
        net=names.net("nets.chain:chain", {"depth": 1, "classes": 4}),
    )  # fmt: skip
    Predict(corpus=corpus, split="train", model=("body",), embedding="2", output="body_train", workers=0).run()
    cells = write_cells(tmp_path / "cells.parquet", cells_of(places_of(2000, 77), 300, 20))
    Heads(
        model="body", train_predictions="body_train", task="geolocation", cells=(cells,), output="net", epochs=2
    ).run()
    for split in ("train", "val"):
        asked: dict[str, Any] = {"embedding": "body.2", "keep_logits": True, "output": f"seen_{split}"}
        Predict(corpus=corpus, split=split, model=("net",), workers=0, **asked).run()
    return corpus


def sequence(**changed: Any) -> Albums:
    fields: dict[str, Any] = {"predictions": "seen_val", "train_predictions": "seen_train", "by": "lstm"}
    return job(**{**fields, "units": 32, "epochs": 30, "learning_rate": 1e-2, **changed})


@pytest.mark.parametrize("kind", ["plain", "repeated", "bidirectional"])
def test_planet_s_album_model(embedded: str, kind: str) -> None:
    report = sequence(kind=kind, output=kind).run()
    alone = Evaluate(predictions="seen_val", task="geolocation").run().metrics["within_200_km"]
    found = report.metrics["within_200_km"]
    assert found.n == 80 and found.value > 0.9 and found.low > alone.value
    assert (
        report.tags["albums"] == "10" and report.metrics == Evaluate(predictions=kind, task="geolocation").run().metrics
    )
    together = rows(kind)
    assert {"cell", "latitude", "longitude", "score", "top_cells"} <= set(together[0])
    assert len(TOWNS) == 6 and len({row["cell"] for row in together}) >= 4


def test_album_models_do_not_depend_on_shards(embedded: str, tmp_path: Path) -> None:
    sequence(epochs=2).run()
    corpus = write_corpus(tmp_path / "again", {"train": 240, "val": 80}, shard_rows=240, album=8)
    for split in ("train", "val"):
        Predict(
            corpus=corpus, split=split, model=("net",), embedding="body.2", output=f"more_{split}", workers=0
        ).run()  # fmt: skip
    sequence(epochs=2, predictions="more_val", train_predictions="more_train", output="other").run()
    assert rows("other") == rows("out")


@pytest.mark.parametrize("kind", ["repeated", "bidirectional"])
def test_an_album_model_that_was_kept_answers_without_learning(
    embedded: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sequence(kind=kind, epochs=2, output_model="kept").run()
    kept = load("kept")
    assert first.tags["album_model_digest"] == kept.digest
    assert (kept.task, dict(kept.arguments)["units"]) == ("geolocation", 32)
    other = sequence(kind=kind, epochs=2, seed=1, output_model="more", output="other").run()
    assert other.tags["album_model_digest"] != kept.digest and rows("other") != rows("out")

    def learns(*_: object) -> None:
        raise AssertionError("it learns again")

    monkeypatch.setattr(lstm, "learnt", learns)
    again = job(predictions="seen_val", by="lstm", model="kept", output="again").run()
    assert rows("again") == rows("out")
    assert again.metrics == first.metrics
    assert again.tags["album_model_digest"] == kept.digest


def test_a_kept_album_model_is_asked_about_albums_of_its_own_embeddings_only(embedded: str, tmp_path: Path) -> None:
    sequence(epochs=1, output_model="kept").run()
    Predict(corpus=embedded, split="val", model=("net",), embedding="body.1", output="layer", workers=0).run()
    Predict(corpus=embedded, split="val", model=("body",), embedding="2", output="body_val", workers=0).run()
    asked: dict[str, Any] = {"predictions": "seen_val", "by": "lstm", "model": "kept", "output": "again"}
    for changed, wrong in (
        ({"train_predictions": "seen_train"}, "train_predictions: kept is an LSTM that has learnt already"),
        ({"output_model": "more"}, "output_model: kept is an LSTM that has learnt already"),
        ({"units": 8}, "units: kept has learnt already"),
        ({"by": "mean"}, "model: kept is an LSTM that reads albums; ask it by --by lstm"),
        ({"predictions": "layer"}, r"predictions: embeddings of layer body\.1, and --model reads body\.2"),
        ({"predictions": "body_val"}, r"predictions: of model \w+, and --model an LSTM on those of \w+"),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(**{**asked, **changed}).run()
    with pytest.raises(ValueError, match="reads embeddings of albums: ask it by `safelight run albums"):
        Predict(corpus=embedded, split="val", model=("kept",), output="wrong", workers=0).run()
    with pytest.raises(JobFailed, match="kept holds another model"):
        sequence(epochs=2, output_model="kept", output="more").run()
    with pytest.raises(SpecError, match="output_model: --by mean learns nothing"):
        job(predictions="seen_val", by="mean", output_model="more").run()


def test_what_album_models_refuse(embedded: str) -> None:
    Predict(corpus=embedded, split="train", model=("net",), embedding="body.1", output="layer", workers=0).run()
    for changed, wrong in (
        ({"train_predictions": None}, "train_predictions: what --by lstm learns from, and only that"),
        ({"by": "mean"}, "train_predictions: what --by lstm learns from, and only that"),
        ({"by": "mean", "train_predictions": None}, "units: --by mean learns nothing"),
        (
            {"train_predictions": "layer"},
            r"train_predictions: embeddings are layer body\.1 of model \w+, and those to be",
        ),
        ({"train_predictions": "seen_val"}, "train_predictions: the same records as predictions"),
        ({"album": "albun"}, "album: no column 'albun'; did you mean album"),
    ):
        with pytest.raises(SpecError, match=wrong):
            sequence(**changed).run()
    with pytest.raises(JobFailed, match="seen_val has no photo with an answer"):
        sequence(output="none", where="id = 'nobody'").run()
