"""Scores with intervals: exact for any sharding, by group, from predictions and from tables of one's own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from jobs.evaluate import Evaluate
from jobs.predict import Predict
from jobs.spec import JobFailed, SpecError
from tests.making import CorpusMaker, Row, rows_of


def facts(report: object) -> tuple[object, object]:
    return report.metrics, report.groups  # type: ignore[attr-defined]


def test_the_same_bits_for_any_sharding_and_worker_count(
    make_corpus: CorpusMaker, small_model: str, ray_session: None
) -> None:
    rows = rows_of(40)
    found = []
    for shard_rows, workers in ((7, 0), (40, 0), (7, 2)):
        corpus = make_corpus(rows, f"c{shard_rows}", shard_rows=shard_rows)
        job = Evaluate(
            corpus=corpus,
            model=small_model,
            by=("sex", "label"),
            order=2,
            workers=workers,
            output=f"o{shard_rows}{workers}",
        )
        found.append(facts(job.run()))
    assert repr(found[0]) == repr(found[1]) == repr(found[2])


def test_predictions_are_scored_without_the_model(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus = make_corpus(rows_of(30))
    first = Evaluate(corpus=corpus, model=small_model, workers=0, by=("sex",)).run()
    assert first.output is not None
    assert Path(first.output).parent == Path(corpus + ".predictions")
    again = Evaluate(predictions=first.output, by=("sex",)).run()
    assert facts(again) == facts(first)
    part = Evaluate(predictions=first.output, where="label = 1").run()
    assert part.metrics["top1"].n == 10


def test_groups_add_up_to_the_whole(make_corpus: CorpusMaker, small_model: str) -> None:
    report = Evaluate(corpus=make_corpus(rows_of(30)), model=small_model, workers=0, by=("sex", "label"), order=2).run()
    sizes = {tuple(by.items()): metrics["top1"].n for by, metrics in report.groups}
    assert sizes[(("sex", "f"),)] + sizes[(("sex", "m"),)] == 30
    assert sum(n for by, n in sizes.items() if len(by) == 2) == 30
    assert len([by for by in sizes if len(by) == 2]) == 6


def test_errors_count_as_wrong_only_in_top1_all(make_corpus: CorpusMaker, small_model: str) -> None:
    rows: list[Row] = [*rows_of(20), ("b1", b"", 0), ("b2", b"?", 1)]
    report = Evaluate(corpus=make_corpus(rows), model=small_model, workers=0, max_errors=0.2).run()
    top1, whole = report.metrics["top1"], report.metrics["top1_all"]
    assert (top1.n, whole.n) == (20, 22)
    assert whole.value == pytest.approx(top1.value * 20 / 22)
    assert report.tables["errors"]["id"].to_pylist() == ["b1", "b2"]


def test_labels_that_came_later(make_corpus: CorpusMaker, small_model: str) -> None:
    rows = rows_of(12)
    corpus = make_corpus(rows)
    with open("late.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "label", "city"])
        writer.writerows([(id_, "stripes", "Oslo" if n < 6 else "Bergen") for n, (id_, _, _) in enumerate(rows)])
    report = Evaluate(corpus=corpus, model=small_model, workers=0, join="late.csv", by=("city",)).run()
    assert {by["city"] for by, _ in report.groups} == {"Oslo", "Bergen"}
    truth = Evaluate(corpus=corpus, model=small_model, workers=0).run()
    assert report.metrics["top1"].value != truth.metrics["top1"].value
    Path("late.csv").write_text("id,label\n00000.jpg,strips\n")
    with pytest.raises(SpecError, match="label 'strips' is not a class of corpus; did you mean stripes"):
        Evaluate(corpus=corpus, model=small_model, workers=0, join="late.csv").run()


def test_a_table_of_answers_from_elsewhere() -> None:
    Path("answers.csv").write_text("name,is,said,sure,sex\na,cat,cat,.9,f\nb,cat,dog,.6,m\nc,dog,dog,.8,f\nd,dog,,,m\n")
    columns = ("id=name", "truth=is", "prediction=said", "score=sure")
    report = Evaluate(table="answers.csv", columns=columns, by=("sex",)).run()
    assert (report.metrics["top1"].value, report.metrics["top1"].n) == (2 / 3, 3)
    assert report.metrics["top1_all"].value == 0.5
    groups = {by["sex"]: metrics["top1"].value for by, metrics in report.groups}
    assert groups == {"f": 1.0, "m": 0.0}


def test_counts_stand_for_rows() -> None:
    Path("counts.csv").write_text("is,said,n\n0,0,90\n0,1,10\n1,1,40\n1,0,60\n")
    report = Evaluate(table="counts.csv", columns=("truth=is", "prediction=said", "count=n")).run()
    assert (report.metrics["top1"].value, report.metrics["top1"].n) == (0.65, 200)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "one of --model, --predictions and --table, got none"),
        ({"model": "m", "table": "t.csv"}, "got model and table"),
        ({"table": "gone.csv", "columns": ("truth=a", "prediction=b")}, "gone.csv: no such table"),
        ({"table": "t.csv", "columns": ("truth=a", "predicton=b")}, "no role 'predicton'; did you mean prediction"),
        ({"table": "t.csv", "columns": ("truth=a", "prediction=q")}, "no column 'q'"),
        (
            {"table": "t.csv", "columns": ("truth=a", "prediction=b"), "by": ("sx",)},
            "by: no column 'sx'; did you mean sex",
        ),
        ({"predictions": "nowhere"}, "nowhere: no predictions there"),
        ({"corpus": "nowhere", "model": "nets.lenet:lenet5"}, "nowhere: no corpus there"),
        ({"table": "t.csv", "columns": ("truth=a", "prediction=b"), "task": "clasification"}, "did you mean classif"),
    ],
)
def test_wrong_words_are_named(fields: dict[str, object], message: str) -> None:
    Path("t.csv").write_text("a,b,sex\n1,1,f\n")
    with pytest.raises(ValueError, match=message):
        Evaluate(**fields).run()


def test_unfinished_predictions_are_refused(make_corpus: CorpusMaker, small_model: str) -> None:
    rows: list[Row] = [*rows_of(8), ("b", b"", 0)]
    with pytest.raises(JobFailed):
        Predict(corpus=make_corpus(rows, shard_rows=3), model=small_model, output="out", workers=0).run()
    with pytest.raises(JobFailed, match="not complete"):
        Evaluate(predictions="out").run()


def test_the_published_counts_on_real_images(shared_images: Path, tmp_path: Path) -> None:
    """EfficientNet-Lite0 is right on 267 of 300 ILSVRC-2012 pictures, one a class."""
    from jobs.adopt import Adopt
    from jobs.ingest import Ingest

    pytest.importorskip("efficientnet_lite_pytorch", reason="EfficientNet-Lite0 is not installed")
    Ingest(
        source=str(shared_images / "imagenet/labels.csv"), layout="table", path_column="file",
        label_column="class_index", split="test", corpus="imagenet", workers=0,
    ).run()  # fmt: skip
    Adopt(
        net="nets.efficientnet_lite:efficientnet_lite0", weights="packaged", preprocess="efficientnet_lite0",
        classes="imagenet", output="lite0",
    ).run()  # fmt: skip
    report = Evaluate(corpus="imagenet", model="lite0", workers=0).run()
    assert round(report.metrics["top1"].value * 300) == 267
    assert report.metrics["top1"].n == 300
