"""What outputs stand for: cells by class, ancestors, and the same after a way through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.placed import TOWNS, cells_of, places_of
from vision.geolocation import s2
from vision.geolocation.cells import locate
from vision.geolocation.globe import Globe
from vision.geolocation.s2_geometry import centre_degrees
from vision.geolocation.stored import Cells
from vision.sphere import great_circle_km

PLACES = places_of(600)
COARSE, FINE = cells_of(PLACES, 200), cells_of(PLACES, 40)
GLOBE = Globe.of([("fine", FINE), ("coarse", COARSE)])


def test_the_partition_with_the_fewest_cells_is_the_coarsest() -> None:
    assert [name for name, _ in GLOBE.partitions] == ["coarse", "fine"]
    assert GLOBE.sizes == (len(COARSE), len(FINE)) and GLOBE.outputs == len(COARSE) + len(FINE)
    assert len(COARSE) < len(FINE)


def test_ancestors_hold_their_cells() -> None:
    (ancestors,) = GLOBE.ancestors
    known = ancestors >= 0
    assert known.all()
    assert s2.contains(COARSE.ids[ancestors], FINE.ids).all()


def test_a_fine_cell_in_a_dropped_coarse_one_has_no_ancestor() -> None:
    lost = Cells(COARSE.ids[1:], COARSE.counts[1:], COARSE.means[1:])
    (ancestors,) = Globe.of([("a", lost), ("b", FINE)]).ancestors
    assert (ancestors == -1).tolist() == s2.contains(COARSE.ids[0], FINE.ids).tolist()


def test_partitions_that_do_not_nest_are_refused() -> None:
    wide = Cells(s2.FACES, np.full(6, 9), np.eye(3)[[0, 1, 2, 0, 1, 2]])
    few = Cells(FINE.ids[:3], FINE.counts[:3], FINE.means[:3])
    with pytest.raises(ValueError, match=r"partition a: its cell .* lies inside one of the finest"):
        Globe.of([("a", few), ("b", wide)])


def test_places_become_classes_and_nowhere_is_none() -> None:
    latitude, longitude = PLACES.T
    found = GLOBE.classes(np.append(latitude, [np.nan, -89.0]), np.append(longitude, [1.0, 10.0]))
    leaves = s2.ids(np.ascontiguousarray(latitude), np.ascontiguousarray(longitude))
    assert np.array_equal(found[:-2, 0], locate(COARSE.ids, leaves))
    assert np.array_equal(found[:-2, 1], locate(FINE.ids, leaves)) and (found[:-2] >= 0).all()
    assert (found[-2:] == -1).all()


def test_labels_of_a_published_table_are_the_classes() -> None:
    labels = np.random.default_rng(0).permutation(len(FINE)).astype(np.int32)
    globe = Globe.of([("published", replace(FINE, labels=labels))])
    assert np.array_equal(globe.ids[0][labels], FINE.ids)
    found = globe.classes(*PLACES.T)[:, 0]
    assert great_circle_km(globe.positions[found], PLACES).max() < 500
    with pytest.raises(ValueError, match="classes must be 0 to"):
        Globe.of([("gaps", replace(FINE, labels=labels + 1))])


def test_a_photo_is_put_at_the_mean_or_the_centre() -> None:
    centred = Globe.of([("fine", FINE)], "centre")
    assert np.allclose(centred.positions, np.stack(centre_degrees(FINE.ids), axis=1))
    # Fiji: the mean of places on both sides of the antimeridian is there and not in Africa.
    fiji = great_circle_km(GLOBE.positions, np.repeat(TOWNS[3:4], len(FINE), axis=0))
    assert fiji.min() < 100
    with pytest.raises(ValueError, match="mean or centre"):
        Globe.of([("fine", FINE)], "edge")  # type: ignore[arg-type]


def test_through_json_and_back() -> None:
    again = Globe.from_dict(json.loads(json.dumps(GLOBE.to_dict())))
    assert again.to_dict() == GLOBE.to_dict()
    assert np.array_equal(again.positions, GLOBE.positions) and again.tokens.tolist() == GLOBE.tokens.tolist()


def test_damage_is_told() -> None:
    facts = GLOBE.to_dict()
    facts["partitions"][0]["counts"][0] += 1
    with pytest.raises(ValueError, match=r"partition coarse: .* sha256 differs"):
        Globe.from_dict(facts)
    with pytest.raises(ValueError, match="cells are damaged: KeyError"):
        Globe.from_dict({"at": "mean"})
    with pytest.raises(ValueError, match="there are no cells"):
        Globe(())
