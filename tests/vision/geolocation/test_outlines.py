"""Outlines on a map: they enclose what the cells enclose, on a map, at the antimeridian and the poles."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.geo import hard_places
from vision.accumulator import Array
from vision.geolocation import s2
from vision.geolocation.outlines import Ring, geojson, outline
from vision.geolocation.stored import Cells
from vision.sphere import unit_vectors


def inside(ring: Ring, longitude: Array, latitude: Array) -> Array:
    """Even-odd rule: whether points lie in a polygon."""
    x, y = np.array(ring).T
    odd = np.zeros(len(longitude), bool)
    for x0, y0, x1, y1 in zip(x[:-1], y[:-1], x[1:], y[1:], strict=True):
        if y0 == y1:
            continue
        crosses = ((y0 > latitude) != (y1 > latitude)) & (longitude < (x1 - x0) * (latitude - y0) / (y1 - y0) + x0)
        odd ^= crosses
    return odd


def signed_area(ring: Ring) -> float:
    x, y = np.array(ring).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


@pytest.mark.parametrize("level", [0, 1, 2, 4, 7])
def test_a_point_is_in_the_polygon_of_its_cell(level: int) -> None:
    latitude, longitude = (column[-400:] for column in hard_places(8000))
    cells = s2.ids(latitude, longitude, level)
    for cell in np.unique(cells)[:60]:
        rings = outline(np.array([cell]))
        found = np.sum([inside(ring, longitude, latitude) for ring in rings], axis=0)
        # Edges are drawn as chords: points within a hundredth of a degree of one may fall on either side.
        assert (found == (cells == cell)).mean() > 0.99
        assert found[cells == cell].mean() > 0.9


@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_the_cells_of_a_level_cover_the_map_once(level: int) -> None:
    cells = s2.FACES
    for _ in range(level):
        cells = s2.children(cells).reshape(-1)
    rings = [ring for cell in cells for ring in outline(np.array([cell]))]
    assert all(ring[0] == ring[-1] for ring in rings)
    assert all(signed_area(ring) > 0 for ring in rings), "counterclockwise"
    assert sum(map(signed_area, rings)) == pytest.approx(360 * 180, rel=1e-9)
    points = np.concatenate([np.array(ring) for ring in rings])
    assert (np.abs(points) <= (180, 90)).all()


def test_the_antimeridian_cuts_a_cell_in_two() -> None:
    fiji = s2.ids(np.array([-17.0]), np.array([180.0]), 3)
    rings = outline(fiji)
    assert len(rings) == 2 or np.abs(np.array(rings[0])[:, 0]).max() == 180
    face = outline(s2.FACES[3:4])
    assert len(face) == 2
    assert sorted(np.sign(np.array(ring)[:, 0].mean()) for ring in face) == [-1, 1]


def test_a_leaf_has_an_outline_too() -> None:
    for latitude, longitude in ((48.8584, 2.2945), (90.0, 0.0), (10.0, 180.0)):
        leaf = s2.ids(np.array([latitude]), np.array([longitude]))
        assert len(outline(leaf)) >= 1


def test_geojson_is_json_with_what_is_known_of_each_cell() -> None:
    cells = np.sort(np.concatenate([s2.FACES[[2, 3]], s2.from_tokens(["47e67", "89c25"])]))
    cells = cells[[0, 1, 2, 3]]
    made = Cells(cells, np.array([5, 6, 7, 8]), unit_vectors(np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8])))
    found = json.loads("".join(geojson(made)))
    assert found["type"] == "FeatureCollection"
    assert [feature["properties"]["token"] for feature in found["features"]] == s2.tokens(cells).tolist()
    assert [feature["properties"]["count"] for feature in found["features"]] == [5, 6, 7, 8]
    kinds = {feature["id"]: feature["geometry"]["type"] for feature in found["features"]}
    assert kinds[s2.tokens(s2.FACES[3:4])[0]] == "MultiPolygon"
    assert kinds["47e67"] == "Polygon"
    ring = next(feature for feature in found["features"] if feature["id"] == "47e67")["geometry"]["coordinates"][0]
    assert len(ring) == 5
    assert all(round(x, 7) == x and round(y, 7) == y for x, y in ring)
    empty = Cells(cells[:0], np.empty(0, np.int64), np.empty((0, 3)))
    assert json.loads("".join(geojson(empty)))["features"] == []
