"""Relatives of test photos among training photos: same author, album or place."""

from __future__ import annotations

import csv

import numpy as np
import pyarrow as pa
import pytest

from tests.geo import shared_geo
from vision.geolocation.leakage import marked
from vision.relatives import summary
from vision.sphere import great_circle_km

TRAIN = pa.table({
    "author": ["ann", "bob", None], "album": ["a", "b", "c"],
    "latitude": [48.0, 10.0, 0.0], "longitude": [2.0, 179.999, 0.0],
})  # fmt: skip
TEST = pa.table({
    "id": ["0", "1", "2", "3", "4"],
    "author": ["ann", "cyd", None, "cyd", "eve"], "album": ["z", "b", "z", "z", None],
    "latitude": [20.0, 20.0, 48.005, 10.0, 80.0], "longitude": [20.0, 20.0, 2.0, -179.995, np.nan],
})  # fmt: skip


def test_marks_say_what_is_shared_and_what_cannot_be_known() -> None:
    found = marked(TRAIN, TEST)
    assert found["same_author"].to_pylist() == [True, False, None, False, False]
    assert found["same_album"].to_pylist() == [False, True, False, False, None]
    assert found["same_place"].to_pylist() == [False, False, True, True, None]  # over the antimeridian too
    assert found["leaks"].to_pylist() == [True, True, True, True, None]
    rows = {row["mark"]: row for row in summary(found).to_pylist()}
    assert (rows["same_author"]["shared"], rows["same_author"]["n"], rows["same_author"]["unknown"]) == (1, 4, 1)
    assert rows["same_place"]["share"] == 0.5 and rows["same_place"]["low"] < 0.5 < rows["same_place"]["high"]


def test_distance_is_a_parameter_and_zero_is_the_same_spot() -> None:
    assert marked(TRAIN, TEST, (), 0.1)["same_place"].to_pylist() == [False, False, False, False, None]
    same = TRAIN.slice(0, 2)
    assert marked(TRAIN, same, (), 0.0)["same_place"].to_pylist() == [True, True]
    assert marked(TRAIN, TEST, ("author",), None)["leaks"].to_pylist() == [True, False, None, False, False]
    assert "same_place" not in marked(TRAIN, TEST, ("author",), None).column_names


def test_places_are_those_of_plain_distances() -> None:
    generator = np.random.default_rng(0)
    sides = [np.stack([generator.uniform(40, 42, n), generator.uniform(1, 3, n)], 1) for n in (300, 200)]
    train, test = (pa.table({"latitude": side[:, 0], "longitude": side[:, 1]}) for side in sides)
    pairs = great_circle_km(np.repeat(sides[1], 300, 0), np.tile(sides[0], (200, 1))).reshape(200, 300)
    found = marked(train, test, (), 5.0)["same_place"].to_pylist()
    assert found == (pairs.min(axis=1) <= 5.0).tolist() and 20 < sum(found) < 180


def test_authors_of_im2gps3k_are_on_both_sides_of_a_random_split() -> None:
    with open(shared_geo() / "im2gps3k_places365.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = pa.table({
        "author": [row["AUTHOR"] for row in rows],
        "latitude": [float(row["LAT"]) for row in rows], "longitude": [float(row["LON"]) for row in rows],
    })  # fmt: skip
    found = marked(table.slice(0, 1500), table.slice(1500), ("author",), None)
    train = {row["AUTHOR"] for row in rows[:1500]}
    assert found["same_author"].to_pylist() == [row["AUTHOR"] in train for row in rows[1500:]]
    apart = table.filter(pa.array([row["AUTHOR"] not in train for row in rows]))
    assert summary(marked(table.slice(0, 1500), apart, ("author",), None)).to_pylist()[0]["shared"] == 0


def test_what_does_not_fit_is_one_line() -> None:
    with pytest.raises(ValueError, match="train has no column 'authors'; did you mean author"):
        marked(TRAIN, TEST, ("authors",))
    with pytest.raises(ValueError, match="place_km must be 0 or more, got -1"):
        marked(TRAIN, TEST, (), -1)
    with pytest.raises(ValueError, match="rows are not marked"):
        summary(TEST)
