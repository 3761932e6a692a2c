"""Audits of a corpus, of predictions and of tables that lie on S3: the figures are those of local files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from cluster.document import document, to_json
from jobs import storage
from jobs.audit import Audit
from jobs.spec import Report, SpecError
from tests.answering import answer
from tests.audited import rows
from tests.making import copy_up, rows_of, write_corpus
from tests.services.conftest import S3Server

ASKED: dict[str, Any] = {"columns": ("truth=truth_", "prediction=said"), "by": ("tone", "gender"), "order": 2}


def audit(**fields: Any) -> Report:
    return Audit(**{"workers": 0, **fields}).run()


def figures(report: Report) -> str:
    found = document("audit", None, report, {})
    tables = {name: table.to_pylist() for name, table in report.tables.items() if name != "provenance"}
    return to_json([found["metrics"], found["groups"], found["notes"], tables, report.tags["counts_sha256"]])


def test_a_table_on_s3_in_one_file_and_in_many(s3_server: S3Server, tmp_path: Path) -> None:
    table = rows(2000, gap=0.2)
    for name in ("faces.csv", "faces.parquet"):
        pacsv.write_csv(table, tmp_path / name) if name.endswith("csv") else pq.write_table(table, tmp_path / name)
        storage.write(f"s3://data/tables/{name}", (tmp_path / name).read_bytes())
    for number in range(4):
        pq.write_table(table.slice(number * 500, 500), tmp_path / "part.parquet")
        storage.write(f"s3://data/shards/{number}.parquet", (tmp_path / "part.parquet").read_bytes())
    storage.write("s3://data/people.csv", b"gender,share\nmale,1\nfemale,1\n")
    storage.write("s3://data/groups.yaml", b"gender: [male, female]\n")
    asked = {**ASKED, "reference": "s3://data/people.csv", "groups": "s3://data/groups.yaml"}
    wanted = audit(table=str(tmp_path / "faces.csv"), **asked)
    for url in ("s3://data/tables/faces.csv", "s3://data/tables/faces.parquet", "s3://data/shards"):
        found = audit(table=url, **asked)
        assert figures(found) == figures(wanted)
        assert found.output == url
    facts = {row["fact"]: row["value"] for row in found.tables["provenance"].to_pylist()}
    assert facts["files"] == "4"
    assert len(facts["reference sha256"]) == 64
    with pytest.raises(SpecError, match=r"s3://data/tables/gone\.csv: no such table"):
        audit(table="s3://data/tables/gone.csv", **ASKED)


def test_a_corpus_its_predictions_and_its_pictures_on_s3(s3_server: S3Server, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "photos", rows_of(60), 17)
    answer(tmp_path / "answers", corpus, np.arange(60) % 2)
    copy_up(tmp_path / "photos", "s3://data/photos")
    copy_up(tmp_path / "answers", "s3://data/answers")
    here = audit(predictions=str(tmp_path / "answers"), by=("sex",))
    there = audit(corpus="s3://data/photos", predictions="s3://data/answers", by=("sex",))
    assert figures(here) == figures(there)
    assert "top1.difference" in there.metrics
    storage.write("s3://data/flags.txt", b"n02084071\n")
    checked: dict[str, Any] = {"by": ("sex",), "checks": ("properties", "duplicates")}
    assert figures(audit(corpus=corpus, **checked)) == figures(audit(corpus="s3://data/photos", **checked))
    with pytest.raises(SpecError, match="synsets: the classes of the corpus are no synset ids"):
        audit(corpus="s3://data/photos", flag="s3://data/flags.txt")


def test_places_and_a_taxonomy_on_s3(s3_server: S3Server, tmp_path: Path) -> None:
    table = pa.table({"latitude": [48.9, 40.4], "longitude": [2.3, -3.7], "wnid": ["n00000002", "n00000003"]})
    pacsv.write_csv(table, tmp_path / "photos.csv")
    storage.write("s3://data/photos.csv", (tmp_path / "photos.csv").read_bytes())
    storage.write("s3://data/places.csv", b"country,latitude,longitude\nFR,48.85,2.35\nES,40.42,-3.7\n")
    storage.write(
        "s3://data/wordnet/dict/data.noun",
        b"00000002 03 n 01 x 0 000 | y\n00000003 03 n 01 z 0 001 @ 00000002 n 0000 | w\n",
    )
    report = audit(
        table="s3://data/photos.csv", places="s3://data/places.csv", by=("country",), synsets="wnid",
        taxonomy="s3://data/wordnet",
    )  # fmt: skip
    assert {row["group"] for row in report.tables["representation"].to_pylist()} == {"country=FR", "country=ES"}
    assert [(row["synset"], row["images"]) for row in report.tables["subtrees"].to_pylist()] == [
        ("n00000002", 2), ("n00000003", 1),
    ]  # fmt: skip
