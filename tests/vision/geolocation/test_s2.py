"""S2 cells by what must hold of them, whatever other libraries say."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.geo import hard_places
from vision.accumulator import Array
from vision.geolocation import s2, s2_geometry
from vision.geolocation.s2_curve import coordinates, leaf_ids
from vision.geolocation.s2_neighbours import all_neighbours, edge_neighbours, vertex_neighbours
from vision.sphere import EARTH_KM, positions, unit_vectors


def some_cells(count: int = 3000) -> Array:
    """Cells of all levels."""
    leaves = s2.ids(*hard_places(count, seed=4))
    return np.concatenate([s2.parent(leaves[level::31], level) for level in range(31)])


def test_the_examples_run() -> None:
    assert doctest.testmod(s2).failed == 0


def test_published_tokens() -> None:
    # Cells of the partition of GeoEstimation with a position in each, from its table.
    table = {
        "8744": (39.2816204694905, -107.943436951718),
        "364": (35.9593396631232, 108.132884464076),
        "89c6c74": (39.9846182127659, -75.2164003021277),
        "0f": (11.6143774531503, -9.83133092043613),
        "477eb1d4": (45.433190487836, 12.3369903649264),
    }
    cells = s2.from_tokens(list(table))
    latitude, longitude = (np.array(column) for column in zip(*table.values(), strict=True))
    levels = s2.level(cells)
    found = [s2.ids(latitude[n : n + 1], longitude[n : n + 1], int(levels[n]))[0] for n in range(len(cells))]
    assert s2.tokens(np.array(found)).tolist() == list(table)


def test_chunks_do_not_show() -> None:
    latitude, longitude = hard_places(20_000)
    whole = s2.ids(latitude, longitude)
    parts = [s2.ids(latitude[k : k + 777], longitude[k : k + 777]) for k in range(0, 20_000, 777)]
    assert np.array_equal(np.concatenate(parts), whole)
    assert np.array_equal(s2.ids(latitude[::-1], longitude[::-1]), whole[::-1])
    assert whole.dtype == np.uint64


@given(face=st.integers(0, 5), i=st.integers(0, 2**30 - 1), j=st.integers(0, 2**30 - 1))
def test_coordinates_and_back(face: int, i: int, j: int) -> None:
    ids = leaf_ids(*(np.array([value]) for value in (face, i, j)))
    assert [int(part[0]) for part in coordinates(ids)] == [face, i, j]
    assert s2.is_valid(ids)[0]


def test_the_curve_never_jumps() -> None:
    cells = s2.FACES
    for _ in range(6):
        cells = s2.children(cells).reshape(-1)
    beside = edge_neighbours(cells[:-1])
    assert (beside == cells[1:, None]).any(axis=1).all()


def test_a_cell_is_the_range_of_its_children() -> None:
    cells = some_cells()
    cells = cells[s2.level(cells) < 30]
    parts = s2.children(cells)
    assert np.array_equal(s2.first(parts[:, 0]), s2.first(cells))
    assert np.array_equal(s2.last(parts[:, 3]), s2.last(cells))
    assert np.array_equal(s2.last(parts[:, :3].reshape(-1)) + 2, s2.first(parts[:, 1:].reshape(-1)))
    levels = s2.level(cells)
    for level in range(30):
        here = parts[levels == level]
        assert np.array_equal(
            s2.parent(here.reshape(-1), level).reshape(-1, 4), np.repeat(cells[levels == level][:, None], 4, 1)
        )
    assert s2.contains(cells[:, None], parts).all()
    assert not s2.contains(parts, cells[:, None]).any()


def test_tokens_and_back() -> None:
    cells = some_cells()
    tokens = s2.tokens(cells).tolist()
    assert np.array_equal(s2.from_tokens(tokens), cells)
    assert tokens == [f"{cell:016x}".rstrip("0") for cell in cells.tolist()]
    assert np.array_equal(s2.from_tokens([token.upper() for token in tokens]), cells)
    assert s2.is_valid(cells).all()


@pytest.mark.parametrize("token", ["", "4.7E+064", "x", "0", "f", "47e631111111111111", "8", "4780000", "-1", " 47"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(ValueError, match="is not the token of an S2 cell"):
        s2.from_tokens(["47e64", token])


def test_wrong_positions_are_refused() -> None:
    one = np.zeros(1)
    for latitude, longitude, name in ((90.5, 0, "latitude"), (np.nan, 0, "latitude"), (0, -180.1, "longitude")):
        with pytest.raises(ValueError, match=f"{name} must be within"):
            s2.ids(np.array([1.0, latitude]), np.array([1.0, longitude]))
    with pytest.raises(ValueError, match="as many"):
        s2.ids(one, np.zeros(2))
    with pytest.raises(ValueError, match="level must be"):
        s2.ids(one, one, 31)
    with pytest.raises(ValueError, match="no children"):
        s2.children(s2.ids(one, one))
    assert len(s2.ids(one[:0], one[:0])) == 0


def test_positions_lie_in_their_cells() -> None:
    latitude, longitude = hard_places(5000)
    for level in (0, 7, 13):
        cells = s2.ids(latitude, longitude, level)
        corners = s2_geometry.vertices(cells)
        edges = np.cross(corners, np.roll(corners, -1, axis=1))
        inside = np.einsum("nkd,nd->nk", edges, unit_vectors(latitude, longitude))
        assert inside.min() > -1e-15


def test_the_centre_is_in_the_cell_and_is_that_of_its_children() -> None:
    cells = some_cells()
    latitude, longitude = s2_geometry.centre_degrees(cells)
    assert s2.contains(cells, s2.ids(latitude, longitude)).mean() == 1
    above = cells[s2.level(cells) < 30]
    meeting = s2_geometry.vertices(s2.children(above).reshape(-1)).reshape(-1, 16, 3)
    nearest = np.abs(meeting - s2_geometry.centre(above)[:, None]).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-15


def test_areas_add_up() -> None:
    assert s2_geometry.area(s2.FACES).sum() == pytest.approx(4 * np.pi, rel=1e-15)
    assert s2_geometry.area_km2(s2.FACES).sum() == pytest.approx(4 * np.pi * EARTH_KM**2)
    cells = some_cells()
    cells = cells[s2.level(cells) < 30]
    parts = s2_geometry.area(s2.children(cells).reshape(-1)).reshape(-1, 4).sum(axis=1)
    assert parts == pytest.approx(s2_geometry.area(cells), rel=1e-14)


def test_neighbours_are_mutual_and_share_corners() -> None:
    cells = some_cells()
    cells = cells[s2.level(cells) > 0]
    beside = edge_neighbours(cells)
    assert (edge_neighbours(beside.reshape(-1)).reshape(-1, 4, 4) == cells[:, None, None]).any(axis=2).all()
    assert np.array_equal(s2.level(beside.reshape(-1)), np.repeat(s2.level(cells), 4))
    ours, theirs = (
        s2_geometry.vertices(cells)[:, None, :, None],
        s2_geometry.vertices(beside.reshape(-1)).reshape(-1, 4, 1, 4, 3),
    )
    common = np.abs(ours - theirs).max(axis=-1) < 1e-14
    # Leaves are about 1e-9 wide: corners within 1e-14 are the same ones.
    assert (common.any(axis=-1).sum(axis=-1) == 2).all()
    round_ = all_neighbours(cells)
    assert (beside[:, :, None] == round_[:, None, :]).any(axis=2).all()
    assert not (round_ == cells[:, None]).any()


def test_three_cells_meet_at_the_corners_of_the_cube() -> None:
    corner = np.degrees(np.arctan(1 / np.sqrt(2)))
    latitude = np.array([corner, -corner]).repeat(4)
    longitude = np.array([45.0, 135.0, -45.0, -135.0] * 2)
    leaves = s2.ids(latitude, longitude)
    for at in (0, 5, 29):
        round_ = vertex_neighbours(leaves, at)
        assert (round_[:, 3] == 0).all()
        assert all(len(set(row)) == 3 for row in round_[:, :3].tolist())
    elsewhere = s2.ids(np.array([48.0]), np.array([2.0]))
    assert len(set(vertex_neighbours(elsewhere, 12)[0].tolist())) == 4
    with pytest.raises(ValueError, match="finer than level 12"):
        vertex_neighbours(s2.parent(elsewhere, 12), 12)


def test_vertex_neighbours_share_the_nearest_corner() -> None:
    latitude, longitude = hard_places(3000)
    leaves = s2.ids(latitude, longitude)
    round_ = vertex_neighbours(leaves, 8)
    assert np.array_equal(round_[:, 0], s2.parent(leaves, 8))
    full = round_[(round_ != 0).all(axis=1)]
    corners = s2_geometry.vertices(full.reshape(-1)).reshape(-1, 4, 4, 3)
    near = np.abs(corners[:, 0, :, None, None] - corners[:, None, 1:]).max(axis=-1) < 1e-12
    assert near.any(axis=-1).all(axis=-1).any(axis=-1).all()


def test_centres_at_the_poles() -> None:
    caps = s2.FACES[[2, 5]]
    latitude, _ = positions(s2_geometry.centre(caps))
    assert latitude.tolist() == [90, -90]
