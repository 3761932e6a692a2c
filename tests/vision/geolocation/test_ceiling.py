"""The oracle of a partition: numbers of published cells, and cells made here."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from tests.geo import clustered_places, shared_geo
from vision.accumulator import Batch
from vision.geolocation import ceiling, means, published, s2
from vision.geolocation.ceiling import Ceiling
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.stored import Cells
from vision.sphere import great_circle_km, positions


def cells_of(latitude: np.ndarray, longitude: np.ndarray, t_max: int = 50, t_min: int = 5) -> Cells:
    leaves = Leaves.of(s2.ids(latitude, longitude))
    found = partition(leaves, Rule(t_max, t_min))
    return Cells(found.cells, found.counts, means.means(means.sums(leaves, found.cells), found.counts))


def at(latitude: np.ndarray, longitude: np.ndarray) -> Batch:
    return {"latitude": latitude, "longitude": longitude}


def test_geoestimations_coarse_cells_on_im2gps3k() -> None:
    cells = published.read((shared_geo() / "cells_50_5000.csv").read_text())
    with open(shared_geo() / "im2gps3k_places365.csv", newline="") as stream:
        rows = [(float(row["LAT"]), float(row["LON"])) for row in csv.DictReader(stream)]
    found = Ceiling(cells).update(at(*np.array(rows).T)).estimates()
    shares = [round(100 * found[f"within_{km}_km"].value, 1) for km in (1, 25, 200, 750, 2500)]
    assert shares == [20.0, 63.4, 92.4, 99.6, 100.0]
    assert found["within_25_km"].n == 2997


def test_every_photo_is_put_where_its_own_cell_is() -> None:
    latitude, longitude = clustered_places(3000)
    cells = cells_of(latitude, longitude)
    batch = {**at(latitude, longitude), "count": np.ones(3000, np.int64)}
    places = np.stack(positions(cells.means), axis=1)
    rows = cells.locate(s2.ids(latitude, longitude))
    km = np.where(rows < 0, np.inf, great_circle_km(np.stack([latitude, longitude], 1), places[rows]))
    state = Ceiling(cells, "mine").update(batch)
    found = state.estimates()
    assert found["within_25_km"].value == np.mean(km <= 25)
    assert found["answered"].value == np.mean(rows >= 0) < 1
    halves = [
        Ceiling(cells, "mine").update({n: v[part] for n, v in batch.items()}) for part in (slice(900), slice(900, None))
    ]
    assert halves[1].merge(halves[0]).estimates() == found
    assert state.compute() == {}
    table = state.tables()["ceiling_mine"]
    assert table["metric"].to_pylist()[:2] == ["within_1_km", "within_25_km"]
    assert Ceiling(cells, at="centre").update(batch).estimates()["mean_km"].value > found["mean_km"].value


def test_unknown_places_do_not_count_and_no_cells_hold_nothing() -> None:
    latitude, longitude = clustered_places(300)
    cells = cells_of(latitude, longitude)
    latitude[:100] = np.nan
    assert Ceiling(cells).update(at(latitude, longitude)).estimates()["answered"].n == 200
    none = Cells(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty((0, 3)))
    assert Ceiling(none).update(at(latitude, longitude)).estimates()["answered"].value == 0.0


def test_a_stored_partition_through_the_front_door() -> None:
    latitude, longitude = clustered_places(500)
    stored = cells_of(latitude, longitude).table()
    state = ceiling("c", stored).update(at(latitude, longitude))
    assert state.estimates()["answered"].n == 500
    with pytest.raises(ValueError, match="this is no file of cells"):
        ceiling("c", stored.replace_schema_metadata(None))
