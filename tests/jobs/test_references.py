"""Published results beside a run's own in what evaluate returns and in its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs import page
from jobs.evaluate import Evaluate
from jobs.spec import Report, SpecError
from tests.making import CorpusMaker, rows_of
from vision.classification.references import OWN
from vision.nets.ilsvrc import ilsvrc_results


def scored(**words: object) -> Report:
    lines = [f"{n % 7},{n % 7 if n < 60 else (n + 1) % 7}" for n in range(100)]
    Path("answers.csv").write_text("\n".join(["is,said", *lines]) + "\n")
    return Evaluate(table="answers.csv", columns=("truth=is", "prediction=said"), **words).run()


def test_a_table_that_was_asked_for_is_in_the_page_with_the_run_in_it() -> None:
    assert "reference_ilsvrc" not in scored().tables
    report = scored(reference="ilsvrc")
    rows = report.tables["reference_ilsvrc"].to_pylist()
    (own,) = [row for row in rows if row["source"].startswith(OWN)]
    assert (own["entry"], own["top1_val"], own["source"]) == ("answers.csv", pytest.approx(40.0), "own run, 100 images")
    html = page.render(report, "evaluate", {})
    assert "Reference ilsvrc" in html and "answers.csv" in html
    assert all(row.source.split(";")[0].replace("&", "&amp;") in html for row in ilsvrc_results())


def test_a_run_of_a_model_goes_by_the_models_name(make_corpus: CorpusMaker, small_model: str) -> None:
    job = Evaluate(corpus=make_corpus(rows_of(9)), model=(small_model,), workers=0, reference="ilsvrc")
    rows = job.run().tables["reference_ilsvrc"].to_pylist()
    assert [row["entry"] for row in rows if row["source"].startswith(OWN)] == ["small"]


def test_the_table_of_ilsvrcs_classes_comes_by_itself(make_corpus: CorpusMaker, small_model: str) -> None:
    from vision.corpora.imagenet import imagenet_classes
    from vision.corpus import Corpus

    folder = Path(make_corpus(rows_of(9)))
    manifest = Corpus.from_json((folder / "corpus.json").read_text())
    report = Evaluate(corpus=str(folder), model=(small_model,), workers=0, output="out").run()
    assert "reference_ilsvrc" not in report.tables
    from dataclasses import replace

    (folder / "corpus.json").write_text(replace(manifest, classes=imagenet_classes()).to_json())
    assert "reference_ilsvrc" in Evaluate(predictions="out").run().tables


def test_a_table_that_does_not_exist_is_refused_before_any_work(make_corpus: CorpusMaker, small_model: str) -> None:
    job = Evaluate(corpus=make_corpus(rows_of(9)), model=(small_model,), output="out", workers=0, reference="imagenet")
    with pytest.raises(SpecError, match="reference: there is no table 'imagenet'"):
        job.run()
    assert not Path("out").exists()
