"""Test records with relatives in training: marked, counted, and scored apart from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.evaluate import Evaluate
from jobs.spec import SpecError
from tests.geo import write_corpus
from tests.making import CorpusMaker, rows_of

ROLES = ("id=id", "latitude=lat", "longitude=lon", "predicted_latitude=plat", "predicted_longitude=plon")


def train(tmp_path: Path, **columns: Any) -> str:
    """40 photos of four authors, one degree from each other, in three shards."""
    numbers = np.arange(1, 41)
    table = pa.table({
        "id": [f"t{n}.jpg" for n in numbers], "author": [f"author {n % 4}" for n in numbers],
        "latitude": numbers * 1.0, "longitude": numbers * 1.0, **columns,
    })  # fmt: skip
    return write_corpus(tmp_path / "train", [table.slice(0, 11), table.slice(11, 20), table.slice(31)])


def answers(tmp_path: Path) -> str:
    """60 photos: by authors of the training or not, at its places or not; those with relatives are placed well."""
    lines = ["id,author,lat,lon,plat,plon"]
    for number in range(60):
        author = ("author 1", "somebody", "")[number % 3]
        latitude = 1 + number % 40 + (0.0 if number < 30 else 0.5)
        off = 0.0 if number % 3 == 0 or number < 30 else 9.0
        lines.append(f"{number}.jpg,{author},{latitude},{latitude},{latitude + off},{latitude}")
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def job(tmp_path: Path, **changed: Any) -> Evaluate:
    fields: dict[str, Any] = {
        "table": answers(tmp_path), "columns": ROLES, "task": "geolocation", "train_corpus": str(tmp_path / "train"),
        "related_by": ("author",),
    }  # fmt: skip
    return Evaluate(**{**fields, **changed})


def test_relatives_are_counted_and_scored_apart(tmp_path: Path) -> None:
    train(tmp_path)
    report = job(tmp_path, by=("author",)).run()
    counts = {row["mark"]: row for row in report.tables["leakage"].to_pylist()}
    assert (counts["same_author"]["shared"], counts["same_author"]["n"], counts["same_author"]["unknown"]) == (
        20,
        40,
        20,
    )
    assert counts["same_place"]["shared"] == 30 and counts["leaks"]["shared"] == 40
    groups = {by["leaks"]: metrics for by, metrics in report.groups if "leaks" in by}
    assert {name: metrics["within_25_km"].n for name, metrics in groups.items()} == {
        "true": 40,
        "false": 10,
        "(none)": 10,
    }
    assert groups["true"]["within_25_km"].value == 1.0 and groups["false"]["within_25_km"].value == 0.0
    assert (
        "40 of 50 test records have relatives in training (20 by author, 30 by place); of 10 more" in report.notes[-1]
    )
    assert sum(metrics["within_25_km"].n for by, metrics in report.groups if "author" in by) == 60
    plain = job(tmp_path, train_corpus=None, related_by=()).run()
    assert plain.metrics == report.metrics and "leakage" not in plain.tables


def test_how_near_is_one_place(tmp_path: Path) -> None:
    train(tmp_path)
    near = job(tmp_path, related_km=100).run().tables["leakage"].to_pylist()
    assert {row["mark"]: row["shared"] for row in near}["same_place"] == 60


def test_what_relatives_are_is_known_of_places(tmp_path: Path) -> None:
    train(tmp_path)
    report = job(tmp_path, related_by=()).run()
    assert [row["mark"] for row in report.tables["leakage"].to_pylist()] == ["same_author", "same_place", "leaks"]
    assert "relatives by album were not looked for: not both corpora have such a column" in report.notes


def test_other_tasks_name_their_columns(make_corpus: CorpusMaker, small_model: str) -> None:
    """The column `sex` alternates, so all of the test has relatives by it."""
    taught, asked = make_corpus(rows_of(12), "taught", split="train"), make_corpus(rows_of(9, 100))
    words: dict[str, Any] = {"corpus": asked, "model": (small_model,), "workers": 0, "train_corpus": taught}
    report = Evaluate(**words, related_by=("sex",)).run()
    assert report.tables["leakage"].to_pylist()[-1]["shared"] == 9
    (group,) = (metrics for by, metrics in report.groups if by.get("leaks") == "true")
    assert group["top1"] == report.metrics["top1"]
    with pytest.raises(SpecError, match="related_by: which columns make two records relatives"):
        Evaluate(**words).run()
    with pytest.raises(SpecError, match=r"train_corpus: .*corpus, split test: the records that are scored"):
        Evaluate(**{**words, "train_corpus": asked}, related_by=("sex",)).run()


def test_what_is_refused(tmp_path: Path) -> None:
    train(tmp_path)
    for changed, wrong in (
        ({"related_by": ("authors",)}, "train_corpus: train has no column 'authors'; did you mean author"),
        ({"train_corpus": None}, "train_corpus: relatives are looked for in a corpus: name it"),
        ({"train_corpus": "nowhere"}, "nowhere: no corpus there"),
        ({"train_split": "tain"}, "train_split: train has no split 'tain', only all"),
    ):
        with pytest.raises(SpecError, match=wrong):
            job(tmp_path, **changed).run()
