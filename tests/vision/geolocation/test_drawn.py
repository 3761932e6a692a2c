"""What is drawn of placed photos: the same tables for any split of the photos, and the numbers that colour them."""

from __future__ import annotations

import itertools
import json
from functools import reduce

import numpy as np
import pytest

from tests.placed import cells_of, everywhere
from vision.accumulator import Batch
from vision.geolocation import s2
from vision.geolocation.answers import NEEDS
from vision.geolocation.drawn import CellAccuracy, Lines, counted, probable
from vision.geolocation.geojson import geojson
from vision.geolocation.globe import Globe
from vision.intervals import wilson

PLACES = everywhere(600, 3)
CELLS = cells_of(PLACES, 60)


def batch(rows: slice = slice(None)) -> Batch:
    """Photos north of the equator are placed where they were taken, the others 20 degrees off; some nowhere."""
    said = PLACES + np.where(PLACES[:, :1] > 0, 0.0, np.array([[20.0, 0.0]]))
    said[::10] = np.nan
    ids = np.array([f"{n}.jpg" for n in range(len(PLACES))], object)
    columns = {"id": ids, **dict(zip(NEEDS, np.concatenate([PLACES, said], axis=1).T, strict=True))}
    return {name: values[rows] for name, values in columns.items()}


def test_cells_know_how_many_of_their_photos_were_placed_well() -> None:
    found = CellAccuracy(CELLS, "fine").update(batch()).tables()["map_fine"]
    assert sum(found["photos"].to_pylist()) == 600
    leaves = s2.ids(*(np.ascontiguousarray(axis) for axis in PLACES.T))
    good = (PLACES[:, 0] > 0) & (np.arange(600) % 10 > 0)
    for row in found.to_pylist():
        inside = s2.contains(s2.from_tokens([row["token"]]), leaves)
        assert (row["photos"], row["placed"]) == (inside.sum(), good[inside].sum())
        assert (row["low"], row["high"]) == pytest.approx(wilson(row["placed"], row["photos"]))
    assert CellAccuracy(CELLS).tables() == {} and CellAccuracy(CELLS).compute() == {}


@pytest.mark.parametrize("zero", [CellAccuracy(CELLS), Lines(40)])
def test_any_split_of_the_photos_draws_the_same(zero: CellAccuracy | Lines) -> None:
    (whole,) = zero.update(batch()).tables().values()
    edges = [0, 1, 100, 100, 350, 600]
    parts = [zero.update(batch(slice(a, b))) for a, b in itertools.pairwise(edges)]
    (merged,) = reduce(lambda a, b: a.merge(b), parts[::-1], zero).tables().values()  # type: ignore[arg-type, return-value]
    assert merged.equals(whole, check_metadata=True)


def test_lines_are_of_placed_photos_drawn_by_their_ids() -> None:
    found = Lines(40).update(batch()).tables()["map_lines"].to_pylist()
    assert len(found) == 40 and not any(int(row["id"][:-4]) % 10 == 0 for row in found)
    for row in found:
        assert row["km"] == pytest.approx(0.0 if row["latitude"] > 0 else 2223.9, abs=0.1)
    assert Lines().tables() == {}


def test_the_map_of_a_photo_has_nearly_all_its_probability() -> None:
    globe = Globe.of([("fine", CELLS)])
    logs = np.log(np.full(len(CELLS), 1e-6))
    logs[[3, 5]] = np.log([0.7, 0.3 - 1e-6 * (len(CELLS) - 2)])
    found = probable(globe, logs, {"taken here": (1.0, 2.0)})
    assert found["token"].to_pylist() == globe.tokens[[3, 5]].tolist()
    assert found["probability"].to_pylist() == pytest.approx([0.7, 0.3], abs=1e-3)
    assert json.loads(found.schema.metadata[b"plot"])["marks"] == {"taken here": [1.0, 2.0]}


def test_geojson_has_cells_lines_and_marks_and_no_ids() -> None:
    lines = json.loads("".join(geojson(Lines(40).update(batch()).tables()["map_lines"])))["features"]
    assert {one["geometry"]["type"] for one in lines} <= {"LineString", "MultiLineString", "Point"}
    assert len(lines) == 40 and ".jpg" not in json.dumps(lines)
    cells = json.loads("".join(geojson(counted(CELLS))))["features"]
    assert sorted(one["properties"]["count"] for one in cells) == sorted(CELLS.counts.tolist())
    marked = probable(Globe.of([("fine", CELLS)]), np.log(np.full(len(CELLS), 1 / len(CELLS))), {"here": (1.0, 2.0)})
    first = json.loads("".join(geojson(marked)))["features"][0]
    assert first["geometry"] == {"type": "Point", "coordinates": [2.0, 1.0]} and first["properties"] == {"mark": "here"}
    with pytest.raises(ValueError, match="the table is no map"):
        list(geojson(CELLS.table()))
