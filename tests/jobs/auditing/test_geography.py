"""Where images are from, and how many for each million people: by column, by the nearest place, for any sharding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from scipy.stats import poisson

from jobs.audit import Audit
from jobs.spec import Report, SpecError
from tests.geo import split, write_corpus
from vision.fairness.nearest import Nearest
from vision.fairness.per_capita import poisson_limits
from vision.sphere import great_circle_km

PLACES = {
    "city": ["Lissabon", "Madrid", "Oslo", "Suva"], "country": ["PT", "ES", "NO", "FJ"],
    "region": ["Europe", "Europe", "Europe", "Oceania"], "latitude": [38.72, 40.42, 59.91, -18.14],
    "longitude": [-9.14, -3.70, 10.75, 178.44],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pacsv.write_csv(pa.table(PLACES), "places.csv")


def audit(**fields: Any) -> Report:
    return Audit(**{"workers": 0, **fields}).run()


def counted(report: Report, by: str) -> dict[str, int]:
    found = report.tables["representation"].to_pylist()
    return {row["group"]: row["count"] for row in found if row["by"] == by}


def photos() -> pa.Table:
    """Near Lisbon, Madrid, Oslo and across the date line from Suva; one at sea, one without a position, one at 0, 0."""
    latitude = [38.7, 38.9, 40.1, 59.9, -18.0, 30.0, None, 0.0]
    longitude = [-9.2, -9.0, -3.5, 10.0, -179.9, -40.0, 5.0, 0.0]
    return pa.table({"id": [f"{n}" for n in range(8)], "latitude": latitude, "longitude": longitude})


def test_countries_by_the_nearest_place_and_each_with_its_people() -> None:
    pacsv.write_csv(photos(), "photos.csv")
    people = {"country": ["PT", "ES", "NO", "IS"], "population": [10_000_000, 48_000_000, 5_500_000, 400_000]}
    pacsv.write_csv(pa.table(people), "people.csv")
    asked: dict[str, Any] = {"places": "places.csv", "by": ("country", "region"), "near_km": 250.0}
    report = audit(table="photos.csv", populations="people.csv", **asked)
    wanted = {"country=ES": 1, "country=FJ": 1, "country=NO": 1, "country=PT": 2}
    assert counted(report, "country") == wanted
    assert counted(report, "region") == {"region=Europe": 4, "region=Oceania": 1}
    found = {row["group"]: row for row in report.tables["per_capita"].to_pylist()}
    assert found["country=PT"]["per_million"] == pytest.approx(0.2)
    assert found["country=PT"]["to_all"] == pytest.approx(0.2 / (4 / 63.9))
    assert (found["country=IS"]["images"], found["country=IS"]["per_million"]) == (0, 0.0)
    assert found["country=FJ"]["per_million"] is None
    said = "\n".join(report.notes)
    assert "3 of 8 rows have no country" in said
    assert "1 of 4 groups with a population have no image" in said
    assert "1 images are from 1 groups without a population" in said
    far = report.metrics["per_capita.total_variation.country"]
    assert far.value == pytest.approx(
        sum(abs(a - b / 63.9) for a, b in ((0.5, 10), (0.25, 48), (0.25, 5.5), (0, 0.4))) / 2
    )
    assert "per_capita.total_variation.country" in report.files["card.md"]


def test_roles_name_positions_and_distance_is_a_limit() -> None:
    pacsv.write_csv(photos().rename_columns(["id", "lat", "lon"]), "photos.csv")
    columns = ("latitude=lat", "longitude=lon")
    near = audit(table="photos.csv", columns=columns, places="places.csv", by=("city",), near_km=20.0)
    assert counted(near, "city") == {"city=Lissabon": 1}


def test_a_corpus_of_geotags_in_any_shards(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    table = pa.table(
        {
            "id": [f"{n:04}" for n in range(300)],
            "latitude": rng.uniform(35, 62, 300),
            "longitude": rng.uniform(-12, 15, 300),
        }
    )
    reports = []
    for shards in (1, 4):
        corpus = write_corpus(tmp_path / f"geotags-{shards}", split(table, shards, 0))
        reports.append(audit(corpus=corpus, places="places.csv", by=("country",), near_km=500.0))
    assert counted(reports[0], "country") == counted(reports[1], "country")
    assert reports[0].tags["counts_sha256"] == reports[1].tags["counts_sha256"]
    pq.write_table(table, "photos.parquet")
    assert (
        audit(table="photos.parquet", places="places.csv", by=("country",), near_km=500.0).metrics == reports[0].metrics
    )


def test_the_nearest_place_is_the_one_by_great_circles() -> None:
    rng = np.random.default_rng(2)
    places = np.stack([rng.uniform(-85, 85, 60), rng.uniform(-180, 180, 60)], axis=1)
    photos_ = np.stack([rng.uniform(-89, 89, 500), rng.uniform(-180, 180, 500)], axis=1)
    far = np.stack([great_circle_km(photos_, np.broadcast_to(place, photos_.shape)) for place in places], axis=1)
    found = Nearest(places[:, 0], places[:, 1], 1500.0).of(photos_[:, 0], photos_[:, 1])
    wanted = np.where(far.min(axis=1) <= 1500, far.argmin(axis=1), -1)
    assert (found == wanted).all()
    assert 0 < (found < 0).sum() < 500


@pytest.mark.parametrize("count", [0, 1, 7, 400])
def test_poisson_limits_are_exact(count: int) -> None:
    low, high = poisson_limits(count)
    assert poisson.cdf(count, high) == pytest.approx(0.025)
    assert low == 0.0 if not count else poisson.sf(count - 1, low) == pytest.approx(0.025)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"places": "people.csv"}, r"places: people\.csv needs the column latitude"),
        ({"places": "places.csv", "by": ("id",)}, r"places: places\.csv has none of the columns id"),
        ({"places": "wrong.csv"}, "the position of place 2 is no place: latitude outside"),
        ({"places": "places.csv", "table": "named.csv"}, "places: country is a column of the rows already"),
        ({"places": "places.csv", "table": "nowhere.csv"}, r"nowhere\.csv has no column 'latitude'"),
        ({"by": ("country",)}, "has no column 'country'"),
        ({"places": "places.csv", "populations": "places.csv"}, r"populations: places\.csv needs population"),
        ({"places": "places.csv", "populations": "empty.csv"}, "the population of country=PT must be above 0, got 0"),
    ],
)
def test_wrong_words_are_one_line(fields: dict[str, Any], message: str) -> None:
    pacsv.write_csv(photos(), "photos.csv")
    pacsv.write_csv(pa.table({"country": ["PT"], "population": [1]}), "people.csv")
    pacsv.write_csv(pa.table({"country": ["PT"], "population": [0]}), "empty.csv")
    pacsv.write_csv(photos().append_column("country", pa.array(["PT"] * 8)), "named.csv")
    pacsv.write_csv(pa.table({"id": [1]}), "nowhere.csv")
    pacsv.write_csv(pa.table({"country": ["A", "B"], "latitude": [1.0, 95.0], "longitude": [1.0, 1.0]}), "wrong.csv")
    with pytest.raises(SpecError, match=message):
        audit(**{"table": "photos.csv", "by": ("country",), **fields})
