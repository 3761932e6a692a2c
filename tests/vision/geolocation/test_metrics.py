"""Shares within distances, medians, means and points: against numbers of papers, and against plain numpy."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

from tests.geo import shared_geo
from vision.accumulator import Array, Batch
from vision.corpus import Corpus
from vision.geolocation import higher_is_better, per_cell, per_image, s2, suite, worst
from vision.geolocation.answers import errors_km
from vision.geolocation.distance import Distance
from vision.geolocation.metrics import GeoScore, MeanKm, MedianKm, WithinKm, hits
from vision.geolocation.metrics import suite as measures
from vision.sphere import EARTH_KM

DEGREE_KM = EARTH_KM * np.pi / 180


def north(kilometres: list[float], **more: Any) -> Batch:
    """Photos of one place, each placed so far north of it; nan is no prediction."""
    km = np.array(kilometres)
    zero = np.zeros(len(km))
    said = {"predicted_latitude": 10 + km / DEGREE_KM, "predicted_longitude": zero + 20}
    ids = np.array([str(n) for n in range(len(km))], object)
    return {"id": ids, "latitude": zero + 10, "longitude": zero + 20, **said, **more}


def test_the_game_of_osv5m() -> None:
    with open(shared_geo() / "osv5m_game50_predictions.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    column: dict[str, Array] = {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if "_l" in name}
    batch = {
        "latitude": column["true_lat"], "longitude": column["true_lon"],
        "predicted_latitude": column["pred_lat"], "predicted_longitude": column["pred_lon"],
    }  # fmt: skip
    km = errors_km(batch, Distance())
    np.testing.assert_allclose(km, [float(row["distance"]) for row in rows], atol=1e-9, rtol=0)
    for inclusive in (True, False):
        found = measures(inclusive=inclusive).update(batch).compute()
        shares = [found[f"within_{at}_km"].value for at in (1, 25, 200, 750, 2500)]
        assert shares == [0.02, 0.12, 0.36, 0.66, 0.86]
    assert round(found["geoscore"].value, 2) == 3290.73
    assert found["median_km"].value == pytest.approx(np.median(km), rel=2.0**-16)
    assert found["mean_km"].value == pytest.approx(km.mean(), rel=1e-12)


def test_photos_without_a_prediction_are_misses_and_never_dropped() -> None:
    batch = north([0.5, 10, 100, np.nan, np.nan])
    found = suite(Corpus(name="c")).update(batch).compute()
    assert (found["within_25_km"].value, found["within_25_km"].n) == (0.4, 5)
    assert found["within_2500_km"].value == 0.6
    assert found["median_km"].value == pytest.approx(100, rel=1e-4)
    assert (found["mean_km"].value, found["mean_km"].n) == (pytest.approx(110.5 / 3, rel=1e-9), 3)
    assert (found["answered"].value, found["answered"].n) == (0.6, 5)
    points = 5000 * np.exp(-np.array([0.5, 10, 100]) / 1492.7)
    assert found["geoscore"].value == pytest.approx(points.sum() / 5, rel=1e-9)
    assert MedianKm().update(north([1, np.nan, np.nan])).compute()["median_km"].value == np.inf


def test_a_broken_picture_is_a_miss_and_an_unknown_place_is_not_counted() -> None:
    batch = {**north([1, 1, 1, 1]), "answered": np.array([True, False, True, True])}
    batch["latitude"] = np.array([10, 10, np.nan, 10.0])
    found = WithinKm(25).update(batch).compute()["within_25_km"]
    assert (found.value, found.n) == (pytest.approx(2 / 3), 3)
    assert np.isnan(errors_km(batch, Distance())[2])


def test_a_threshold_belongs_to_it_or_not() -> None:
    km = np.array([24.999, 25.0, 25.001, np.inf])
    assert hits(km, 25).tolist() == [True, True, False, False]
    assert hits(km, 25, inclusive=False).tolist() == [True, False, False, False]


def test_thresholds_formula_and_radius_are_parameters() -> None:
    batch = north([9.995, 500])
    other = measures((10.0, 42.5), distance=Distance(radius_km=6378.137)).update(batch).compute()
    assert {"within_10_km", "within_42.5_km"} < set(other)
    assert other["within_10_km"].value == 0.0  # the larger Earth is 11 m wider here
    assert WithinKm(10).update(batch).compute()["within_10_km"].value == 0.5
    with pytest.raises(ValueError, match="thresholds are kilometres above 0, got -1"):
        measures((-1.0,))


def test_a_place_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"predicted_latitude must be in -90..90 degrees, got 95\.3"):
        GeoScore().update({**north([1.0]), "predicted_latitude": np.array([95.3])})
    with pytest.raises(ValueError, match=r"longitude must be in -180..180 degrees, got 181"):
        MeanKm().update({**north([1.0]), "longitude": np.array([181.0])})


def test_cells_are_right_by_token_or_by_class() -> None:
    scores = np.array([0.9, 0.9, 0.6, 0.3])
    place = s2.ids(np.array([10.0]), np.array([20.0]), 6)
    elsewhere = s2.ids(np.array([-40.0]), np.array([20.0]), 6)
    tokens = [*s2.tokens(place), *s2.tokens(place), *s2.tokens(elsewhere)]
    by_token = {"predicted_cell": np.array([*map(str, tokens), None], object), "predicted_score": scores}
    state = suite(Corpus(name="c"))
    table = state.update(north([1, 1, 1, 1], **by_token)).tables()["reliability"]
    assert (table["n"].to_pylist(), table["accuracy"].to_pylist()) == ([1, 2], [0.0, 1.0])
    by_class = {"label": np.array([4, 4, -1, 4]), "predicted_label": np.array([4, 5, 6, 4]), "predicted_score": scores}
    table = state.update(north([1, 1, 1, 1], **by_class)).tables()["reliability"]
    assert (table["n"].to_pylist(), table["accuracy"].to_pylist()) == ([1, 1, 2], [1.0, 0.0, 0.5])
    assert "calibration_error" not in state.update(north([1])).compute()


def test_the_farthest_are_worth_looking_at() -> None:
    batch = north([5, np.nan, 900, 0.0])
    assert [id_ for id_, _ in worst(Corpus(name="c")).update(batch).notable()] == ["2", "0"]
    assert "placed at 18.0939, 20.0000: 900 km off" in worst(Corpus(name="c")).update(batch).notable()[0][1]


def test_each_photo_contributes_what_the_metric_is_a_mean_of() -> None:
    batch = north([0.5, 10, 100, np.nan, 2000], answered=np.array([True] * 5))
    batch["latitude"] = np.array([10, 10, 10, 10, np.nan])
    found = suite(Corpus(name="c")).update(batch).compute()
    for metric in ("within_1_km", "within_25_km", "within_2500_km", "mean_km", "geoscore", "answered"):
        values = per_image(metric).value(batch)
        values = values[~np.isnan(values)]
        assert (values.mean(), len(values)) == (pytest.approx(found[metric].value, rel=1e-9), found[metric].n), metric
    assert per_image("within_99.5_km").value(batch)[:4].tolist() == [1, 1, 0, 0]
    assert higher_is_better("within_1_km") and not higher_is_better("median_km")
    for name in ("within_0_km", "top1", "within_-3_km"):
        with pytest.raises(ValueError, match="cannot be compared photo by photo"):
            per_image(name)


def test_the_median_follows_from_counts_by_bin() -> None:
    batch = north([0.5, 10, 100, np.nan, 2000.0])
    kind = per_cell("median_km")
    assert kind is not None and per_cell("mean_km") is None
    cells, repeats = np.unique(kind.cell(batch), return_counts=True)
    counts = np.stack([repeats, repeats * 3, np.array([5, 1, 0, 0, 0]), np.array([0, 1, 1, 0, 0])])
    medians = kind.metric(cells, counts, np.zeros(counts.shape))
    np.testing.assert_allclose(medians, [100, 100, 0.5, 55], rtol=0.003)
