"""Great circles on a map: as long as they should be, through the right places, whole on both sides of the edge."""

from __future__ import annotations

import numpy as np
import pytest

from tests.geo import hard_places
from vision.geolocation.arcs import Line, arc
from vision.sphere import great_circle_km


def length_km(lines: list[Line]) -> float:
    total = 0.0
    for line in lines:
        places = np.array(line)[:, ::-1]
        total += float(great_circle_km(places[:-1], places[1:]).sum())
    return total


def test_a_line_is_as_long_as_the_way_and_ends_where_it_should() -> None:
    latitude, longitude = (column[-600:].reshape(2, -1) for column in hard_places(8000))
    for a, b in zip(*(np.stack([latitude[n], longitude[n]], axis=1) for n in (0, 1)), strict=True):
        lines = arc((a[0], a[1]), (b[0], b[1]))
        assert length_km(lines) == pytest.approx(float(great_circle_km(a[None], b[None])[0]), rel=2e-4, abs=1e-3)
        points = np.concatenate([np.array(line) for line in lines])
        assert (np.abs(points) <= (180, 90)).all()
        ends = points[[0, -1], ::-1]
        assert np.allclose(great_circle_km(ends, np.stack([a, b])), 0, atol=1e-3)


def test_the_way_over_the_edge_of_the_map_is_cut_there() -> None:
    first, second = arc((-17.7, 178.0), (-13.8, -171.8))
    assert first[-1][0] == 180.0 and second[0][0] == -180.0
    assert first[-1][1] == second[0][1] == pytest.approx(-16.9, abs=0.1)
    assert len(arc((0.0, 10.0), (0.0, -10.0))) == 1


def test_london_to_tokyo_leads_over_siberia() -> None:
    (line,) = arc((51.5, 0.0), (35.7, 139.7))
    assert max(latitude for _, latitude in line) == pytest.approx(70.6, abs=0.5)


def test_there_is_no_way_to_the_same_place_and_one_of_many_to_the_opposite_one() -> None:
    assert arc((12.0, 34.0), (12.0, 34.0)) == []
    assert length_km(arc((12.0, 34.0), (-12.0, -146.0))) == pytest.approx(np.pi * 6371, rel=1e-3)
    with pytest.raises(ValueError, match="step_degrees must be above 0, got 0"):
        arc((0.0, 0.0), (1.0, 1.0), 0.0)
