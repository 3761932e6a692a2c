"""Probes over predictions folders: scored as models are, few-shot curves, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import page
from jobs.engine import commit
from jobs.predict import Predict
from jobs.probe import Probe
from jobs.spec import JobFailed, SpecError
from tests.making import CorpusMaker, Row, rows_of
from vision.accumulator import Array
from vision.corpus import Corpus
from vision.predictor import vectors


def features_of(ids: list[str], labels: Array, noise: float) -> Array:
    """(N, 8) float32: the label's corner, with noise that is the id's own."""
    drawn = [np.random.default_rng([int(id_.split(".")[0]), 5]).normal(0, noise, 8) for id_ in ids]
    return (np.eye(8)[labels] + drawn).astype(np.float32)


def rows(count: int, start: int = 0) -> list[Row]:
    """Records whose pictures nobody will open."""
    return [(f"{n:05d}.jpg", b"never opened", n % 3) for n in range(start, start + count)]


def embed(folder: Path, corpus: str, noise: float, broken: tuple[str, ...] = (), **identity: Any) -> str:
    """Predictions with embeddings, committed as the engine commits them; `broken` ids have none."""
    held = Corpus.from_json((Path(corpus) / "corpus.json").read_text())
    split = held.splits[0]
    facts = {
        "corpus": corpus, "corpus_version": 1, "split": split, "model": "m" * 64, "net": "net",
        "task": "classification", "decoder": "1", "kernel": "torch", "answers": 1, "embedding": "pool", **identity,
    }  # fmt: skip
    commit.begin(str(folder), facts, held.classes)
    receipts = {}
    for shard in held.present(split):
        table = pq.read_table(Path(corpus) / shard.file, columns=["id", "label"])
        ids = table["id"].to_pylist()
        found = vectors(features_of(ids, table["label"].fill_null(0).to_numpy(), noise))
        good = np.array([id_ not in broken for id_ in ids])
        take = pa.array(np.arange(len(ids)), mask=~good)
        errors = [None if ok else "broken" for ok in good]
        answered = {"label": pa.array([0] * len(ids), pa.int32()).take(take), "embedding": found.take(take)}
        writer = commit.ShardWriter(str(folder / shard.file))
        writer.add(pa.table({"id": ids, **answered, "error": pa.array(errors, pa.string())}))
        receipts[shard.file] = writer.commit(
            commit.Receipt(shard.file, commit.fingerprint(facts, shard.sha256), shard.sha256)
        )
    commit.finish(str(folder), facts, held.classes, receipts)
    return str(folder)


@pytest.fixture
def pair(make_corpus: CorpusMaker, tmp_path: Path) -> dict[str, Any]:
    """The fields that name 90 examples and 60 tested records, noisy enough to be mistaken."""
    train, test = make_corpus(rows(90), "a", split="train"), make_corpus(rows(60, 1000), "b")
    return {
        "train_predictions": embed(tmp_path / "pa", train, 0.6),
        "test_predictions": embed(tmp_path / "pb", test, 0.6),
    }


def facts(report: Any) -> str:
    return repr((report.metrics, report.groups, report.tables))


def test_the_room_scores_a_probe_as_it_scores_a_model(pair: dict[str, Any]) -> None:
    for kind in ("linear", "knn"):
        report = Probe(**pair, kind=kind, by=("sex",)).run()
        top1 = report.metrics["top1"]
        assert top1.n == 60 and 0.5 < top1.low < top1.value < top1.high <= 1
        assert {"brier", "calibration_error", "macro_f1", "cross_entropy"} <= set(report.metrics)
        assert "confusion" in report.tables and len(report.groups) == 2
        assert report.tags["embedding"] == "pool" and report.tags["model_digest"] == "m" * 64
        assert report.tags["train_examples"] == "90" and report.notes == ()


def test_the_same_bits_for_any_sharding(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    found = []
    for number, (shard_rows, turned) in enumerate(((7, False), (90, False), (20, True))):
        learnt, asked = rows(90)[:: -1 if turned else 1], rows(60, 1000)
        train = make_corpus(learnt, f"a{number}", shard_rows, split="train")
        test = make_corpus(asked, f"b{number}", shard_rows)
        folders = embed(tmp_path / f"pa{number}", train, 0.6), embed(tmp_path / f"pb{number}", test, 0.6)
        words = {"shots": (2, 4), "draws": 3}
        found += [
            facts(Probe(train_predictions=folders[0], test_predictions=folders[1], kind=kind, **words).run())
            for kind in ("linear", "knn")
        ]
    assert found[0] == found[2] == found[4]
    assert found[1] == found[3] == found[5]


def test_the_few_shot_curve_rises_and_is_drawn(pair: dict[str, Any]) -> None:
    job = Probe.parse({**pair, "shots": "10,1,2,5", "draws": 8})
    report = job.run()
    table = report.tables["few_shot"].to_pydict()
    assert table["shots"] == [1, 2, 5, 10] and table["tested"] == [60] * 4
    assert table["top1"] == sorted(table["top1"]) and table["top1"][-1] > table["top1"][0] + 0.1
    assert all(low < value < high for low, value, high in zip(table["low"], table["top1"], table["high"], strict=True))
    five = report.metrics["top1.shots_5"]
    assert (five.value, five.low, five.n) == (table["top1"][2], table["low"][2], 8)
    assert any("t intervals over draws" in note for note in report.notes)
    drawn = page.render(report, "probe", {})
    assert 'class="band"' in drawn and "top1 by shots" in drawn and "worst_draw" in drawn
    # The same draws, whatever else is asked for.
    alone = Probe(**pair, shots=(5,), draws=8).run()
    assert alone.metrics["top1.shots_5"] == five
    assert Probe(**pair, shots=(5,), draws=8, seed=1).run().metrics["top1.shots_5"] != five


def test_one_draw_has_no_interval(pair: dict[str, Any]) -> None:
    one = Probe(**pair, shots=(1,), draws=1).run().metrics["top1.shots_1"]
    assert one.n == 1 and np.isnan([one.low, one.high]).all() and 0 < one.value < 1


def test_broken_images_count_as_wrong_only_in_top1_all(make_corpus: CorpusMaker, tmp_path: Path) -> None:
    train, test = make_corpus(rows(30), "a", split="train"), make_corpus([*rows(20, 1000), ("9.jpg", b"", None)], "b")
    lost = tuple(id_ for id_, _, _ in rows(20, 1000))[:12]  # all of the first shard, and two of the next
    report = Probe(
        train_predictions=embed(tmp_path / "pa", train, 0.01, broken=("00003.jpg",)),
        test_predictions=embed(tmp_path / "pb", test, 0.01, broken=lost),
    ).run()
    assert report.errors == 12
    assert (report.metrics["top1"].value, report.metrics["top1"].n) == (1.0, 8)
    assert (report.metrics["top1_all"].value, report.metrics["top1_all"].n) == (0.4, 20)
    assert report.notes == ("records to learn from that lack a label or an embedding, and were left out: 1",)


def test_a_subset_and_a_class_without_examples(pair: dict[str, Any]) -> None:
    report = Probe(**pair, where="label <> 1").run()
    assert report.metrics["top1"].n == 40 and report.tags["train_examples"] == "60"
    assert report.notes == ("without a labelled example, so never answered: square",)


def test_real_embeddings_of_a_net(make_corpus: CorpusMaker, small_model: str) -> None:
    train, test = make_corpus(rows_of(45), "a", split="train"), make_corpus(rows_of(30, 500), "b")
    for corpus, output in ((train, "pa"), (test, "pb")):
        Predict(corpus=corpus, model=(small_model,), output=output, workers=0, embedding="tanh4").run()
    report = Probe(train_predictions="pa", test_predictions="pb", l2=0.001).run()
    assert report.metrics["top1"].value > 0.8 and report.tags["embedding_size"] == "84"
    assert len(report.tags["model_digest"]) == 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"shots": (2, 31)}, "class disc has 30 labelled examples, fewer than 31"),
        ({"where": "label = 2"}, "a probe needs examples of at least two classes, got 1"),
        ({"kind": "knn", "k": 91}, r"k must be in 1\.\.90, the number of examples, got 91"),
        ({"by": ("sax",)}, "by: no column 'sax'; did you mean sex"),
        ({"split": "test"}, "split: a probe reads the corpus and split that its predictions name"),
    ],
)
def test_wrong_words_are_one_line(pair: dict[str, Any], words: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        Probe(**pair, **words).run()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["l2", "k", "draws", "shots"])
def test_numbers_below_their_range_are_refused(pair: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError, match=f"^{field}: "):
        Probe.parse({**pair, field: "0"})


def test_folders_that_do_not_belong_together(make_corpus: CorpusMaker, pair: dict[str, Any], tmp_path: Path) -> None:
    test = str(tmp_path / "b")
    for words, message in (
        ({"embedding": "fc1"}, "embeddings are layer fc1 of model mmm.*learn from layer pool"),
        ({"model": "n" * 64}, "layer pool of model nnn"),
        ({"embedding": None}, "holds no embeddings; make them with"),
    ):
        folder = embed(tmp_path / message[:3] / str(len(message)), test, 0.6, **words)
        with pytest.raises(SpecError, match=message):
            Probe(**{**pair, "test_predictions": folder}).run()
    with pytest.raises(SpecError, match="the same records, split train"):
        Probe(**{**pair, "test_predictions": pair["train_predictions"]}).run()
    nothing = embed(tmp_path / "none", make_corpus([("1.jpg", b"", None)], "c"), 0.6)
    with pytest.raises(JobFailed, match="no record with a label and an embedding"):
        Probe(**{**pair, "train_predictions": nothing}).run()
