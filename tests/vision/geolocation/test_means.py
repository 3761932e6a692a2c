"""Mean positions: the same bits in any order, and right at the antimeridian and the poles."""

from __future__ import annotations

import numpy as np
import pytest

from tests.geo import clustered_places
from vision.geolocation import s2
from vision.geolocation.cells import Rule, partition
from vision.geolocation.counts import Leaves
from vision.geolocation.means import means, sums
from vision.sphere import EARTH_KM, great_circle_km, positions, unit_vectors


def test_they_are_the_means_of_the_photos() -> None:
    latitude, longitude = clustered_places(60_000)
    ids = s2.ids(latitude, longitude)
    found = partition(Leaves.of(ids.copy()), Rule(t_max=3000, t_min=20))
    vectors = means(sums(Leaves.of(ids.copy()), found.cells), found.counts)
    photos = unit_vectors(latitude, longitude)
    plain = np.array([photos[s2.contains(cell, ids)].mean(axis=0) for cell in found.cells])
    # A photo is at the middle of its leaf: about a centimetre, which is 1.6e-9 of the radius.
    assert vectors == pytest.approx(plain, abs=3e-9)
    assert (np.linalg.norm(vectors, axis=1) <= 1 + 1e-9).all()


@pytest.mark.parametrize("parts", [2, 7])
def test_sums_of_shards_in_any_order_are_the_same_bits(parts: int) -> None:
    ids = s2.ids(*clustered_places(50_000, seed=3))
    cells = partition(Leaves.of(ids.copy()), Rule(t_max=500, t_min=20)).cells
    whole = sums(Leaves.of(ids.copy()), cells)
    shuffled = np.random.default_rng(parts).permutation(ids)
    shards = [sums(Leaves.of(part.copy()), cells) for part in np.array_split(shuffled, parts)]
    assert np.array_equal(sum(shards), whole)
    unique, counts = np.unique(ids, return_counts=True)
    assert np.array_equal(sums(Leaves.of(unique, counts), cells), whole)
    assert np.array_equal(sums(Leaves.of(ids[:0].copy()), cells), np.zeros_like(whole))


@pytest.mark.parametrize(
    ("latitude", "longitude", "mean"),
    [([10.0, 10.0], [179.0, -179.0], (10.0, 180.0)), ([89.0, 89.0, 89.0], [0.0, 120.0, -120.0], (90.0, None))],
)
def test_across_the_antimeridian_and_round_a_pole(
    latitude: list[float], longitude: list[float], mean: tuple[float, float | None]
) -> None:
    ids = s2.ids(np.array(latitude), np.array(longitude))
    total = sums(Leaves.of(ids), s2.FACES).sum(axis=0, keepdims=True)
    found = np.stack(positions(means(total, np.array([len(latitude)]))), axis=-1)
    wanted = np.array([[mean[0], mean[1] or 0.0]])
    # The mean of two points on a parallel lies on the great circle between them, a little poleward.
    assert great_circle_km(found, wanted)[0] < 2e-4 * EARTH_KM


def test_a_cell_too_full_for_64_bits_is_refused() -> None:
    ids = s2.ids(np.array([1.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="2,147,483,648 photos is too full"):
        sums(Leaves.of(ids, np.array([2**31])), s2.FACES)
