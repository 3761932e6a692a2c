"""Degrees, kilometres, great circles, and positions that cannot be."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.geo import hard_places
from vision import sphere
from vision.sphere import EARTH_KM, FAULTS, faults, great_circle_km, positions, unit_vectors

DEGREES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_the_examples_run() -> None:
    assert doctest.testmod(sphere).failed == 0


def test_known_distances() -> None:
    quarter = EARTH_KM * np.pi / 2
    pairs = [
        ((0, 0), (0, 90), quarter),
        ((0, 0), (90, 123), quarter),
        ((10, 179.5), (10, -179.5), great_circle_km(np.array([[10.0, 0.0]]), np.array([[10.0, 1.0]]))[0]),
        ((-90, 5), (90, -80), 2 * quarter),
        ((45, 7), (45, 7), 0),
    ]
    a, b, km = (np.array(part, float) for part in zip(*pairs, strict=True))
    assert great_circle_km(a, b) == pytest.approx(km, abs=1e-9)


def test_short_distances_keep_their_digits() -> None:
    # One microdegree of latitude: 0.111194926... m; the law of cosines would say 0.
    near = great_circle_km(np.array([[48.0, 2.0]]), np.array([[48.000001, 2.0]]))[0]
    assert near == pytest.approx(np.radians(1e-6) * EARTH_KM, rel=1e-7)


def test_the_radius_is_a_parameter() -> None:
    a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])
    assert great_circle_km(a, b, 6378.137) / great_circle_km(a, b) == pytest.approx(6378.137 / 6371)


@given(a=DEGREES, b=DEGREES, c=DEGREES)
@example(a=(6e-8, 0.0), b=(6e-8, 180.0), c=(0.0, 0.0))
def test_distance_is_a_metric_and_agrees_with_the_angle_between_vectors(
    a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]
) -> None:
    ab, bc, ac = (great_circle_km(np.array([p]), np.array([q]))[0] for p, q in ((a, b), (b, c), (a, c)))
    assert great_circle_km(np.array([b]), np.array([a]))[0] == ab
    assert ac <= ab + bc + 1e-6
    va, vb = (unit_vectors(*np.array(p)[:, None])[0] for p in (a, b))
    angle = np.arctan2(np.linalg.norm(np.cross(va, vb)), va @ vb)
    # The haversine of nearly opposite places is nearly 1, where its angle has half the digits: decimetres.
    assert ab == pytest.approx(EARTH_KM * angle, abs=1e-5 if angle < 3.14 else 1e-3)


def test_vectors_and_back() -> None:
    latitude, longitude = hard_places(5000)
    vectors = unit_vectors(latitude, longitude)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-15)
    back = positions(3 * vectors)
    assert back[0] == pytest.approx(latitude, abs=1e-6)
    assert unit_vectors(*back) == pytest.approx(vectors, abs=1e-12)


def test_every_fault_has_its_reason() -> None:
    latitude = np.array([48.8, np.nan, 213.6, 10.0, 0.0, -0.0, 0.0, np.inf, 90.0, -90.1, 5.0, 12.0])
    longitude = np.array([2.3, 5.0, 5.0, -180.5, 0.0, 0.0, 9.0, 1.0, 180.0, 0.0, np.nan, 12.0])
    missing = np.arange(12) == 11
    found = [FAULTS[code] for code in faults(latitude, longitude, missing)]
    nan, far, around, zero = FAULTS[2:]
    assert found == ["none", nan, far, around, zero, zero, "none", nan, "none", far, nan, "missing"]


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a must be \(N, 2\), got \(3,\)"):
        great_circle_km(np.zeros(3), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"vectors must be \(..., 3\), got \(2,\)"):
        positions(np.zeros(2))
    with pytest.raises(ValueError, match="as many"):
        faults(np.zeros(2), np.zeros(3))
