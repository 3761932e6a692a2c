"""Placed photos scored from a table: metrics, groups, published results beside them, comparisons and gates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jobs import page
from jobs.answers import from_table
from jobs.compare import compare
from jobs.evaluate import Evaluate
from jobs.gates import Gate, judge
from jobs.spec import SpecError
from tests.geo import shared_geo
from vision.geolocation.references import OWN
from vision.geolocation.results import published_results

ROLES = ("latitude=lat", "longitude=lon", "predicted_latitude=plat", "predicted_longitude=plon")


def write(name: str, off: float, seed: int = 1, rows: int = 400) -> str:
    """Photos all over the globe, placed some `off` degrees away; one in ten was not placed."""
    places = np.random.default_rng(0)
    latitude, longitude = places.uniform(-60, 60, rows), places.uniform(-150, 150, rows)
    noise = np.random.default_rng(seed)
    said = [latitude, longitude] + off * noise.exponential(1, (2, rows))
    lines = ["id,lat,lon,plat,plon,scene"]
    for n in range(rows):
        answer = "," if n % 10 == 9 else f"{said[0][n]:.6f},{said[1][n]:.6f}"
        lines.append(f"{n}.jpg,{latitude[n]:.6f},{longitude[n]:.6f},{answer},{('city', 'nature')[n % 2]}")
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def test_a_table_of_placed_photos_is_scored_by_group() -> None:
    report = Evaluate(table=write("a.csv", 1.0), columns=ROLES, task="geolocation", by=("scene",)).run()
    found = report.metrics
    assert found["answered"].value == 0.9
    assert found["within_2500_km"].value <= 0.9 and found["within_2500_km"].n == 400
    assert 0 < found["within_25_km"].low < found["within_25_km"].value < found["within_25_km"].high
    groups = {by["scene"]: metrics for by, metrics in report.groups}
    assert (groups["city"]["answered"].value, groups["nature"]["answered"].value) == (1.0, 0.8)
    assert sum(group["median_km"].n for group in groups.values()) == 400


def test_the_game_of_osv5m_from_its_table() -> None:
    columns = (
        "latitude=true_lat", "longitude=true_lon", "predicted_latitude=pred_lat", "predicted_longitude=pred_lon",
    )  # fmt: skip
    table = str(shared_geo() / "osv5m_game50_predictions.csv")
    found = Evaluate(table=table, columns=columns, task="geolocation", by=("country",)).run()
    shares = [found.metrics[f"within_{km}_km"].value for km in (1, 25, 200, 750, 2500)]
    assert shares == [0.02, 0.12, 0.36, 0.66, 0.86]
    assert round(found.metrics["geoscore"].value, 2) == 3290.73
    assert sum(metrics["geoscore"].n for _, metrics in found.groups) == 50


def test_published_results_stand_beside_it_and_in_the_page() -> None:
    report = Evaluate(table=write("a.csv", 1.0), columns=ROLES, task="geolocation").run()
    rows = report.tables["reference_planet"].to_pylist()
    (own,) = [row for row in rows if row["source"] == OWN and row["metric"] == "within_25_km"]
    assert (own["entry"], own["photos"]) == ("a.csv", 400)
    (planet,) = [
        row for row in rows if (row["entry"], row["test_set"], row["metric"]) == ("PlaNet", "Im2GPS", "within_25_km")
    ]
    assert planet["value"] == 24.5 and planet["low"] == pytest.approx(19.4, abs=0.1)
    html = page.render(report, "evaluate", {})
    assert "Reference planet" in html and "a.csv" in html
    asked = Evaluate(table="a.csv", columns=ROLES, task="geolocation", reference="im2gps3k").run()
    ranked = [row for row in asked.tables["reference_im2gps3k"].to_pylist() if row["metric"] == "within_25_km"]
    assert [row["value"] for row in ranked] == sorted((row["value"] for row in ranked), reverse=True)
    assert "a.csv" in [row["entry"] for row in ranked] and len(ranked) > 10
    with pytest.raises(SpecError, match="no table 'im2gps3'; did you mean im2gps3k"):
        Evaluate(table="a.csv", columns=ROLES, task="geolocation", reference="im2gps3").run()


def test_every_published_number_says_whose_it_is() -> None:
    for row in published_results():
        assert row.source and row.basis in ("read", "remembered", "recomputed")
        assert row.value <= 100 or not row.metric.startswith("within_")
    assert len({(row.system, row.test_set, row.metric) for row in published_results()}) == len(published_results())


def test_two_tables_are_compared_photo_by_photo_and_judged() -> None:
    first, second = (
        from_table(write(name, off, seed), ROLES) for name, off, seed in (("a.csv", 1.0, 1), ("b.csv", 4.0, 2))
    )
    for metric, worse in (("within_200_km", -1), ("geoscore", -1), ("median_km", 1), ("mean_km", 1)):
        outcome = compare(first, second, metric, 0.0, unpaired=False, task="geolocation")
        difference = outcome.estimates["difference"]
        assert difference.low * worse > 0 and difference.high * worse > 0, metric
        assert outcome.verdict == "fail", metric
    judged = judge(
        [Gate(metric="within_200_km", by=("scene",)), Gate(metric="median_km")], first, second, "geolocation"
    )
    assert judged.verdict == "fail" and len(judged.findings) == 4


def test_answers_that_lack_what_a_task_needs_are_one_line() -> None:
    write("a.csv", 1.0)
    with pytest.raises(SpecError, match="columns: predicted_longitude=NAME is needed; the table has id, lat"):
        Evaluate(table="a.csv", columns=ROLES[:3], task="geolocation").run()
    with pytest.raises(SpecError, match="cannot be scored for classification: there is no column label"):
        Evaluate(table="a.csv", columns=ROLES, task="classification").run()
    with pytest.raises(SpecError, match="cannot be scored for geolocation: there is no column latitude"):
        Evaluate(table="a.csv", columns=("truth=scene", "prediction=id"), task="geolocation").run()
    with pytest.raises(SpecError, match="columns: plat cannot be predicted_latitude and something else too"):
        Evaluate(table="a.csv", columns=("latitude=plat", *ROLES[1:]), task="geolocation").run()
    with pytest.raises(SpecError, match="columns: latitude holds string and not numbers of degrees"):
        Evaluate(table="a.csv", columns=("latitude=scene", *ROLES[1:]), task="geolocation").run()


def test_whole_degrees_with_a_gap_are_no_prediction_at_minus_one() -> None:
    Path("whole.csv").write_text("lat,lon,plat,plon\n-1,-1,,\n10,20,10,20\n")
    found = Evaluate(table="whole.csv", columns=ROLES, task="geolocation").run().metrics
    assert (found["within_1_km"].value, found["within_1_km"].n, found["answered"].value) == (0.5, 2, 0.5)
