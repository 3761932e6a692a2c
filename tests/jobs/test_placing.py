"""Placed photos scored from a table: metrics, groups, published results beside them, comparisons and gates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import page
from jobs.answers import from_table
from jobs.compare import compare
from jobs.engine import commit
from jobs.evaluate import Evaluate
from jobs.gates import Gate, judge
from jobs.partition import Partition
from jobs.spec import SpecError
from tests.geo import clustered_places, shared_geo, write_corpus
from tests.making import picture
from vision.corpus import Corpus
from vision.geolocation import s2
from vision.geolocation.references import OWN
from vision.geolocation.results import published_results
from vision.sphere import great_circle_km

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


def test_thresholds_formula_and_radius_are_words_of_the_command() -> None:
    Path("edge.csv").write_text("lat,lon,plat,plon\n0,0,0,1\n0,0,0,0.001\n")

    def found(measure: str) -> dict[str, float]:
        report = Evaluate(table="edge.csv", columns=ROLES, task="geolocation", measure=measure).run()
        return {name: estimate.value for name, estimate in report.metrics.items()}

    assert found('{"thresholds_km": [111.25]}')["within_111.25_km"] == 1.0
    assert found('{"thresholds_km": [111.25], "formula": "vincenty"}')["within_111.25_km"] == 0.5
    assert found('{"thresholds_km": [111.25], "radius_km": 6378.137}')["within_111.25_km"] == 0.5
    exact = float(great_circle_km(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]))[0])
    assert found(f'{{"thresholds_km": [{exact!r}]}}')[f"within_{exact:g}_km"] == 1.0
    assert found(f'{{"thresholds_km": [{exact!r}], "inclusive": false}}')[f"within_{exact:g}_km"] == 0.5
    cases = {
        '{"radius": 1}': r"metrics of geolocation have no parameter 'radius'; did you mean radius_km",
        '{"formula": "flat"}': "measure: formula must be one of haversine, vincenty, got 'flat'",
        '{"thresholds_km": [0]}': "measure: thresholds are kilometres above 0, got 0",
        '{"thresholds_km": 5}': "measure: ",
        "[1]": "measure: not a JSON object",
    }
    for words, message in cases.items():
        with pytest.raises(SpecError, match=message):
            found(words)
    with pytest.raises(SpecError, match=r"metrics of classification have no parameter 'km' \(there are none\)"):
        Evaluate(table="edge.csv", columns=("truth=lat", "prediction=lon"), measure='{"km": 1}').run()


def test_the_ceiling_of_cells_stands_beside() -> None:
    write("a.csv", 1.0)
    Partition(table="a.csv", columns=("latitude=lat", "longitude=lon"), t_max=20, t_min=2, output="cells.parquet").run()
    report = Evaluate(table="a.csv", columns=ROLES, task="geolocation", cells=("cells.parquet",)).run()
    ceiling = {row["metric"]: row for row in report.tables["ceiling_cells"].to_pylist()}
    assert ceiling["answered"]["n"] == 400 and ceiling["within_2500_km"]["value"] > 0.9
    assert ceiling["within_200_km"]["low"] < ceiling["within_200_km"]["value"] < ceiling["within_200_km"]["high"]
    assert "ceiling_cells" not in Evaluate(table="a.csv", columns=ROLES, task="geolocation").run().tables
    with pytest.raises(SpecError, match=r"cells: a\.csv: this is no file of cells"):
        Evaluate(table="a.csv", columns=ROLES, task="geolocation", cells=("a.csv",)).run()
    with pytest.raises(SpecError, match="cells: answers for the task classification are not made of cells"):
        Evaluate(table="a.csv", columns=("truth=scene", "prediction=id"), cells=("cells.parquet",)).run()


def test_a_duel_of_two_tables_by_group() -> None:
    near, far = write("a.csv", 1.0), write("b.csv", 4.0, seed=2)
    report = Evaluate(table=near, columns=ROLES, task="geolocation", against=far, by=("scene",)).run()
    (row,) = report.tables["duel"].to_pylist()
    assert (row["rounds"], row["tied"], row["verdict"]) == (400, 40, "won")
    assert row["candidate_median_km"] < row["baseline_median_km"]
    won = report.metrics["rounds_won"]
    assert won.low > 0.5 and won.value == row["won"] / 400
    assert report.metrics["candidate_median_km"] == report.metrics["median_km"]
    groups = {by["scene"]: metrics for by, metrics in report.groups}
    assert groups["city"]["rounds_won"].n == groups["nature"]["rounds_won"].n == 200
    assert groups["nature"]["rounds_tied"].value == 0.2
    assert any("the candidate won" in note and note.endswith("won") for note in report.notes)
    Path("c.csv").write_text(Path(near).read_text().replace("id,lat,lon,plat,plon", "id,a,b,c,d"))
    other = ("latitude=a", "longitude=b", "predicted_latitude=c", "predicted_longitude=d")
    back = Evaluate(table=far, columns=ROLES, task="geolocation", against="c.csv", against_columns=other).run()
    assert back.tables["duel"].to_pylist()[0]["verdict"] == "lost"
    assert back.metrics["rounds_won"].value == report.metrics["rounds_lost"].value


def predictions(folder: str, corpus: str, off: float) -> str:
    """Answers to the photos of a corpus as a net of cells gives them, some `off` degrees away; the last is broken."""
    held = Corpus.from_json(Path(corpus, "corpus.json").read_text())
    facts = {
        "corpus": corpus, "corpus_version": 1, "split": "all", "model": folder, "net": "net", "task": "geolocation",
        "decoder": "1", "kernel": "torch", "answers": 1,
    }  # fmt: skip
    commit.begin(folder, facts, None)
    receipts = {}
    for shard in held.present("all"):
        photos = pq.read_table(Path(corpus, shard.file))
        broken = np.arange(len(photos)) == len(photos) - 1
        latitude, longitude = photos["latitude"].to_numpy() + off, photos["longitude"].to_numpy()
        writer = commit.ShardWriter(f"{folder}/{shard.file}")
        writer.add(pa.table({
            "id": photos["id"], "latitude": pa.array(latitude, mask=broken),
            "longitude": pa.array(longitude, mask=broken), "score": pa.array(np.full(len(photos), 0.75), mask=broken),
            "cell": pa.array(s2.tokens(s2.ids(latitude, longitude, 7)).tolist(), mask=broken),
            "error": pa.array(np.where(broken, "cut short", None).tolist(), pa.string()),
        }))  # fmt: skip
        receipts[shard.file] = writer.commit(
            commit.Receipt(shard.file, commit.fingerprint(facts, shard.sha256), shard.sha256)
        )
    commit.finish(folder, facts, None, receipts)
    return folder


def test_predictions_of_a_corpus_are_scored_and_played(tmp_path: Path) -> None:
    places = clustered_places(300)
    latitude, longitude = np.clip(places[0], -80, 80), places[1]
    photos = pa.table({
        "id": [f"{n}.jpg" for n in range(300)], "latitude": latitude, "longitude": longitude,
        "author": [f"a{n % 3}" for n in range(300)], "image": pa.array([picture(0, 0)] * 300),
    })  # fmt: skip
    corpus = write_corpus(tmp_path / "corpus", [photos.slice(0, 200), photos.slice(200)])
    near, far = (predictions(str(tmp_path / name), corpus, off) for name, off in (("near", 0.05), ("far", 3.0)))
    words = {"task": "geolocation", "by": ("author",)}
    report = Evaluate(predictions=near, against=far, **words).run()
    assert report.metrics["within_25_km"].value == pytest.approx(298 / 300)
    assert report.metrics["mean_km"].value == pytest.approx(0.05 * np.pi / 180 * 6371, rel=1e-3)
    assert report.metrics["rounds_won"].value == pytest.approx(298 / 300)
    reliability = report.tables["reliability"].to_pylist()
    assert [row["n"] for row in reliability] == [298] and reliability[0]["accuracy"] > 0.5
    assert report.metrics["calibration_error"].n == 298
    assert len(report.groups) == 3 and report.examples[0].caption.startswith("taken at ")


def test_a_duel_that_cannot_be_played_is_one_line() -> None:
    near, words = write("a.csv", 1.0), {"columns": ROLES, "task": "geolocation"}
    with pytest.raises(SpecError, match="same model on the same images"):
        Evaluate(table=near, against=near, **words).run()
    lines = Path(near).read_text().splitlines()
    Path("moved.csv").write_text("\n".join([*lines[:4], "3.jpg,1.5,2.5,1.5,2.5,city", *lines[5:]]) + "\n")
    with pytest.raises(SpecError, match=r"a\.csv has another latitude for 1 records, such as 3\.jpg"):
        Evaluate(table=near, against="moved.csv", **words).run()
    Path("other.csv").write_text("\n".join([lines[0], *("x" + line for line in lines[1:])]) + "\n")
    with pytest.raises(SpecError, match="have no record in common"):
        Evaluate(table=near, against="other.csv", **words).run()
    with pytest.raises(SpecError, match="against: answers for the task classification are compared by"):
        Evaluate(table=near, columns=("truth=scene", "prediction=id"), against="moved.csv").run()
