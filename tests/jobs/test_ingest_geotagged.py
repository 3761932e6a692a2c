"""Geotagged photos become a corpus: what was rejected is counted in its facts and in the report."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.ingest import Ingest
from jobs.partition import Partition
from jobs.spec import JobFailed, SpecError
from tests.corpora import put
from tests.geo import shared_geo
from tests.making import picture
from vision.corpus import Corpus


def rows_of(corpus: str) -> list[dict[str, object]]:
    files = sorted(Path(corpus).glob("*/part-*.parquet"))
    return [row for file in files for row in pq.read_table(file).drop_columns(["image"]).to_pylist()]


def manifest(corpus: str) -> Corpus:
    return Corpus.from_json(Path(corpus, "corpus.json").read_text())


def made() -> str:
    """Ten photos and a table that places seven of them."""
    put(Path("raw"), {f"{n}.jpg": picture(n % 3, n) for n in range(10)})
    lines = [f"{n}.jpg,{40 + n / 10},{2 + n / 10},a{n % 2}" for n in range(7)]
    lines += ["7.jpg,0,0,a1", "8.jpg,0.0,0.0,a1", "9.jpg,91,2,a1"]
    Path("raw/places.csv").write_text("\n".join(["file,lat,lon,author", *lines]) + "\n")
    return "raw/places.csv"


def test_rejected_photos_are_counted_in_the_corpus_and_the_report() -> None:
    report = Ingest(source=made(), layout="geotagged", corpus="c", path_column="file", workers=0).run()
    assert report.tables["rejected"].to_pylist() == [
        {"reason": "exactly 0, 0", "records": 2}, {"reason": "latitude outside -90..90", "records": 1},
    ]  # fmt: skip
    note = "2 photos left out: exactly 0, 0 (such as 7.jpg)"
    assert note in report.notes and note in manifest("c").notes
    assert dict(manifest("c").columns) == {"latitude": "double", "longitude": "double", "author": "string"}
    assert [row["id"] for row in rows_of("c")] == [f"{n}.jpg" for n in range(7)]
    again = Ingest(source="raw/places.csv", layout="geotagged", corpus="c", path_column="file", workers=0).run()
    assert "nothing new: the corpus is as it was" in again.notes


def test_its_cells_are_counted_at_once() -> None:
    Ingest(source=made(), layout="geotagged", corpus="c", path_column="file", workers=0).run()
    report = Partition(corpus="c", output="cells.parquet", t_max=3, t_min=1, workers=0).run()
    cells = pq.read_table("cells.parquet")
    assert sum(cells["count"].to_pylist()) == 7 and max(cells["count"].to_pylist()) <= 3
    assert report.output is not None


def test_the_real_photos_as_a_corpus() -> None:
    report = Ingest(source=str(shared_geo() / "photos"), layout="geotagged", corpus="c", workers=0).run()
    assert {row["reason"]: row["records"] for row in report.tables["rejected"].to_pylist()} == {
        "no position": 5, "exactly 0, 0": 2, "not a finite number": 1,
    }  # fmt: skip
    assert manifest("c").rows == 29
    assert {row["time"] for row in rows_of("c") if str(row["id"]).startswith("exif-sampl_Kodak")} == {
        "2005-08-13T09:47:23"
    }


def test_nothing_but_photos_without_a_place_is_no_corpus() -> None:
    put(Path("raw"), {"1.jpg": picture(0, 0)})
    with pytest.raises(JobFailed, match=r"no images for a corpus \(1 photo left out: no position \(such as 1.jpg\)\)"):
        Ingest(source="raw", layout="geotagged", corpus="c", workers=0).run()


def test_other_layouts_refuse_its_fields() -> None:
    put(Path("raw"), {"1.jpg": picture(0, 0)})
    with pytest.raises(SpecError, match="latitude_column: the layout imagefolder does not read it"):
        Ingest(source="raw", layout="imagefolder", corpus="c", latitude_column="lat").run()
