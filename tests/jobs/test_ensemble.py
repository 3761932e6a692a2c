"""Runs as one: the mean of their posteriors, beside each of them, and what cannot be joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from jobs.ensemble import Ensemble
from jobs.evaluate import Evaluate
from jobs.forget import Forget
from jobs.predict import Predict
from jobs.spec import JobFailed, Report, SpecError
from tests.making import CorpusMaker, Row, rows_of, train_small, tree

RUNS = ("short", "longer", "small")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, small_model: str) -> dict[str, str]:
    """Three nets that learnt for 1, 2 and 12 epochs."""
    folder = tmp_path_factory.mktemp("runs")
    return {
        "short": train_small(folder / "short", epochs=1),
        "longer": train_small(folder / "longer", epochs=2),
        "small": small_model,
    }


def run_all(corpus: str, models: dict[str, str], parent: str = "runs") -> tuple[str, ...]:
    words = {"corpus": corpus, "workers": 0, "keep_logits": True, "kernel": "torch", "max_errors": 0.5}
    for name, folder in models.items():
        Predict(model=(folder,), output=f"{parent}/{name}", **words).run()
    return tuple(f"{parent}/{name}" for name in models)


def rows(output: str) -> dict[str, dict[str, Any]]:
    found = [row for path in sorted(Path(output).rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row for row in found}


def softmax(values: list[float]) -> Any:
    powers = np.exp(np.array(values, np.float64) - max(values))
    return powers / powers.sum()


def by_run(report: Report, metric: str) -> dict[str, dict[str, Any]]:
    return {row["run"]: row for row in report.tables["runs"].to_pylist() if row["metric"] == metric}


def test_a_joint_answer_is_the_mean_of_posteriors(make_corpus: CorpusMaker, models: dict[str, str]) -> None:
    corpus = make_corpus([*rows_of(25), ("torn.jpg", b"", 0)])
    runs = run_all(corpus, models)
    report = Ensemble(predictions=runs, output="joint", keep_logits=True).run()
    joint, alone = rows("joint"), [rows(run) for run in runs]
    assert list(joint) == list(alone[0])
    assert joint["torn.jpg"]["label"] is None and joint["torn.jpg"]["error"] == alone[0]["torn.jpg"]["error"]
    for id_, row in joint.items():
        if row["error"] is None:
            mean = np.mean([softmax(run[id_]["logits"]) for run in alone], axis=0)
            assert row["label"] == mean.argmax()
            np.testing.assert_allclose(row["top_scores"], np.sort(mean)[::-1], atol=1e-6)
            np.testing.assert_allclose(softmax(row["logits"]), mean, atol=1e-6)
            truth = int(id_[:5]) % 3
            assert row["truth_log_score"] == pytest.approx(np.log(mean[truth]), abs=1e-5)
    assert report.errors == 1
    assert report.metrics == Evaluate(predictions="joint").run().metrics


def test_each_run_stands_beside_the_joint_one_on_the_same_images(
    make_corpus: CorpusMaker, models: dict[str, str]
) -> None:
    runs = run_all(make_corpus(rows_of(60)), models)
    report = Ensemble(predictions=runs, output="joint", by=("sex",)).run()
    found = by_run(report, "top1")
    assert list(found) == ["joint", *RUNS]
    assert found["joint"]["value"] == report.metrics["top1"].value
    assert (found["joint"]["low"], found["joint"]["high"]) == (report.metrics["top1"].low, report.metrics["top1"].high)
    joint = rows("joint")
    for name, run in zip(RUNS, runs, strict=True):
        alone = Evaluate(predictions=run).run().metrics["top1"]
        row = found[name]
        assert (row["value"], row["low"], row["high"], row["n"]) == (alone.value, alone.low, alone.high, 60)
        theirs = rows(run)
        right = [(theirs[i]["label"] == int(i[:5]) % 3, joint[i]["label"] == int(i[:5]) % 3) for i in joint]
        only_run, only_joint = right.count((True, False)), right.count((False, True))
        assert row["minus_joint"] == pytest.approx((only_run - only_joint) / 60)
        assert row["minus_joint_low"] <= row["minus_joint"] <= row["minus_joint_high"]
        apart = only_run + only_joint
        assert row["mcnemar_p"] == pytest.approx(binomtest(only_run, apart).pvalue if apart else 1.0)
    assert {by["sex"] for by, _ in report.groups} == {"f", "m"}
    assert by_run(report, "cross_entropy")["short"]["value"] > by_run(report, "cross_entropy")["small"]["value"]
    assert report.tags["runs"] == "3"


def test_order_shards_workers_and_resumes_give_the_same_bytes(
    make_corpus: CorpusMaker, models: dict[str, str], ray_session: None
) -> None:
    runs = run_all(make_corpus(rows_of(30), shard_rows=7), models)
    Ensemble(predictions=runs, output="here").run()
    Ensemble(predictions=runs[::-1], output="there", workers=2).run()
    assert tree("here") == tree("there")
    kept = Path("there/test/part-00000.parquet").stat().st_mtime_ns
    Path("there/test/part-00002.parquet").unlink()
    Ensemble(predictions=runs, output="there").run()
    assert tree("here") == tree("there")
    assert Path("there/test/part-00000.parquet").stat().st_mtime_ns == kept
    whole = run_all(make_corpus(rows_of(30), "whole", shard_rows=30), models, "others")
    Ensemble(predictions=whole, output="one").run()
    assert rows("one") == rows("here")


def test_an_ensemble_is_predictions_and_may_join_another(make_corpus: CorpusMaker, models: dict[str, str]) -> None:
    runs = run_all(make_corpus(rows_of(12)), models)
    Ensemble(predictions=runs[:2], output="two", keep_logits=True).run()
    report = Ensemble(predictions=("two", runs[2]), output="three").run()
    assert set(by_run(report, "top1")) == {"joint", "two", "small"}
    alone = [rows(run) for run in runs]
    for id_, row in rows("three").items():
        first = np.mean([softmax(alone[index][id_]["logits"]) for index in (0, 1)], axis=0)
        mean = (first + softmax(alone[2][id_]["logits"])) / 2
        np.testing.assert_allclose(row["top_scores"], np.sort(mean)[::-1], atol=1e-6)


def test_crops_of_one_net_and_its_whole_picture_are_two_runs(make_corpus: CorpusMaker, small_model: str) -> None:
    corpus, shared = make_corpus(rows_of(8)), {"workers": 0, "keep_logits": True, "kernel": "torch"}
    Predict(corpus=corpus, model=(small_model,), output="once", **shared).run()
    Predict(corpus=corpus, model=(small_model,), output="flipped", flip=True, **shared).run()
    report = Ensemble(predictions=("once", "flipped"), output="joint").run()
    assert report.metrics["top1"].n == 8


def test_labels_that_came_later(make_corpus: CorpusMaker, models: dict[str, str]) -> None:
    good: list[Row] = [(id_, data, None) for id_, data, _ in rows_of(12)]
    runs = run_all(make_corpus(good), models)
    late = pa.table({"id": [id_ for id_, _, _ in good], "label": [n % 3 for n in range(12)]})
    pq.write_table(late, "late.parquet")
    report = Ensemble(predictions=runs, output="joint", join="late.parquet").run()
    assert report.metrics["top1"].n == 12 and report.metrics["cross_entropy"].n == 12
    with pytest.raises(SpecError, match="joint holds other predictions: join_sha256"):
        Ensemble(predictions=runs, output="joint").run()


def test_forgotten_records_are_gone_from_it_and_nothing_is_averaged_again(
    make_corpus: CorpusMaker, models: dict[str, str]
) -> None:
    corpus = make_corpus(rows_of(20), shard_rows=7)
    runs = run_all(corpus, models)
    Ensemble(predictions=runs, output="joint", keep_logits=True).run()
    before = rows("joint")
    Path("ids.txt").write_text("00003.jpg\n00011.jpg\n")
    Forget(corpus=corpus, ids="ids.txt", outputs=(*runs, "joint")).run()
    left = rows("joint")
    assert left == {id_: row for id_, row in before.items() if id_ not in ("00003.jpg", "00011.jpg")}
    held = tree("joint")
    Ensemble(predictions=runs, output="joint", keep_logits=True).run()
    assert {name: data for name, data in tree("joint").items() if name.endswith("parquet")} == {
        name: data for name, data in held.items() if name.endswith("parquet")
    }


def test_what_cannot_be_joined_is_refused(make_corpus: CorpusMaker, models: dict[str, str]) -> None:
    runs = run_all(make_corpus(rows_of(12)), models)

    def joined(*more: str) -> None:
        Ensemble(predictions=(runs[0], *more), output="joint").run()

    with pytest.raises(SpecError, match=r"are one model asked in one way: its answers would count twice"):
        joined(runs[1], runs[0])
    Predict(corpus="corpus", model=(models["small"],), output="bare", workers=0, kernel="torch").run()
    with pytest.raises(SpecError, match=r"bare holds no logits; make it with .*--keep-logits"):
        joined("bare")
    other = make_corpus(rows_of(12, start=5), "other")
    Predict(corpus=other, model=(models["small"],), output="o", workers=0, kernel="torch", keep_logits=True).run()
    with pytest.raises(SpecError, match=r"answer different records: test/part-00000.parquet is not the same shard"):
        joined("o")
    fields = {"corpus": "corpus", "workers": 0, "kernel": "torch", "keep_logits": True}
    Predict(model=(models["small"],), output="some", where="label < 2", **fields).run()
    with pytest.raises(SpecError, match=r"where is None in .*short and 'label < 2' in .*some"):
        joined("some")
    with pytest.raises(SpecError, match="there is no table 'ilsvrk'; did you mean ilsvrc"):
        Ensemble(predictions=runs, output="joint", reference="ilsvrk").run()
    manifest = Path("runs/small/predictions.json")
    text = manifest.read_text()
    manifest.write_text(text.replace('"disc"', '"disk"'))
    with pytest.raises(SpecError, match="answer with different classes"):
        joined(runs[2])
    manifest.write_text(text.replace('"complete": true', '"complete": false'))
    with pytest.raises(JobFailed, match="small is not complete"):
        joined(runs[2])
    with pytest.raises(SpecError, match="predictions: two or more predictions make an ensemble"):
        Ensemble.parse({"predictions": runs[:1], "output": "joint"})
    assert not Path("joint").exists()
