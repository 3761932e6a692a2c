"""Distances by sphere and ellipsoid, against numbers that geodesists publish."""

from __future__ import annotations

import numpy as np
import pytest

from vision.geolocation.distance import Distance, vincenty_km


def km(a: tuple[float, float], b: tuple[float, float]) -> float:
    return float(vincenty_km(np.array([a]), np.array([b]))[0])


def test_known_distances_on_the_ellipsoid() -> None:
    assert km((0, 0), (90, 0)) == pytest.approx(10001.965729, abs=1e-6)  # the quarter of a meridian
    assert km((0, 0), (0, 1)) == pytest.approx(111.319491, abs=1e-6)  # a degree of the equator
    assert km((0, 179.5), (0, -179.5)) == pytest.approx(111.319491, abs=1e-6)
    assert km((40.6, -73.8), (51.6, -0.5)) == pytest.approx(5551.76, abs=0.01)
    assert km((12.5, 7.0), (12.5, 7.0)) == 0.0


def test_nearly_opposite_places_have_a_distance() -> None:
    """Wellington to Salamanca is 19,959.679 km (Karney, "Algorithms for geodesics", 2013)."""
    assert km((-41.32, 174.81), (40.96, -5.50)) == pytest.approx(19959.679267, abs=1e-5)
    assert km((0, 0), (0, 180)) == pytest.approx(20003.931, abs=0.01)  # over a pole
    assert km((30, 0), (-30, 179.9)) == pytest.approx(20003.9, rel=0.004)
    generator = np.random.default_rng(0)
    a = np.stack([generator.uniform(-80, 80, 5000), generator.uniform(-180, 180, 5000)], axis=1)
    b = np.stack([-a[:, 0], a[:, 1] + np.where(a[:, 1] > 0, -180, 180)], axis=1) + generator.uniform(
        -0.5, 0.5, (5000, 2)
    )
    across = vincenty_km(a, b)
    assert across.min() > 19_900 and across.max() < 20_003.94


def test_the_sphere_is_within_what_papers_differ_by() -> None:
    generator = np.random.default_rng(0)
    a, b = (np.stack([generator.uniform(-85, 85, 4000), generator.uniform(-180, 180, 4000)], axis=1) for _ in range(2))
    sphere, ellipsoid = Distance().between(a, b), Distance("vincenty").between(a, b)
    assert np.isfinite(ellipsoid).all()
    assert np.abs(ellipsoid / sphere - 1).max() < 0.0062
    larger = Distance(radius_km=6378.137).between(a, b)
    np.testing.assert_allclose(larger / sphere, 6378.137 / 6371, rtol=1e-12)
    assert sphere.max() <= Distance().longest_km


def test_what_is_no_way_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="formula must be one of haversine, vincenty, got 'flat'"):
        Distance("flat")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="radius_km must be the Earth's"):
        Distance(radius_km=0)
