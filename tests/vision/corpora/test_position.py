"""Every way in which a position may be written, and every way in which it may be wrong."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from PIL.TiffImagePlugin import IFDRational

from vision.corpora import position as reasons
from vision.corpora.position import Unplaced, position, written
from vision.sphere import FAULTS

PARIS = (48 + 51 / 60 + 30.12 / 3600, 2 + 17 / 60 + 40.2 / 3600)
EAST = ((2, 1), (17, 1), (4020, 100))


@pytest.mark.parametrize(
    "latitude",
    [
        ((48, 1), (51, 1), (3012, 100)),
        (48, 51, 30.12),
        (Fraction(48), Fraction(51), Fraction(3012, 100)),
        (IFDRational(48, 1), IFDRational(51, 1), IFDRational(3012, 100)),
        ((48, 1), (51502, 1000), (0, 1)),
        ((48, 1), (51502, 1000), (0, 0)),
        ((48, 1), (51502, 1000)),
        ((48858366667, 10**9),),
        (48.858366667,),
        "48,51.502N",
        b"48/1, 51/1, 3012/100\0",
        "48 deg 51' 30.12\" N",
        "N 48°51'30.12\"",
        "48.858366667",
    ],
)
def test_all_forms_of_one_latitude(latitude: Any) -> None:
    found = position(latitude, "N", EAST, "E")
    np.testing.assert_allclose(found, PARIS, atol=1e-8)


@pytest.mark.parametrize("north", ["N", "n", b"N", b"n\0", "North", " N ", b"NORTH\0"])
@pytest.mark.parametrize("west", ["W", "w", b"W\0", "west"])
def test_references_in_any_case_and_as_bytes(north: Any, west: Any) -> None:
    latitude, longitude = position(((1, 1), (30, 1), (0, 1)), north, ((2, 1), (15, 1), (0, 1)), west)
    assert (latitude, longitude) == (1.5, -2.25)


def test_signs_tell_the_hemisphere_where_nothing_else_does() -> None:
    south = ((-33, 1), (51, 1), (2532, 100))
    expected = -(33 + 51 / 60 + 25.32 / 3600)
    for reference in (None, "S", b"s\0", ""):
        assert position(south, reference, EAST, "E")[0] == pytest.approx(expected)
    assert position(((33, 1), (51, 1), (2532, 100)), "S", EAST, "E")[0] == pytest.approx(expected)
    assert position("-33.857", None, EAST, "E")[0] == -33.857


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((None, None, None, None), reasons.NOWHERE),
        ((None, None, EAST, "E"), "no latitude"),
        ((EAST, "N", None, "E"), "no longitude"),
        ((((0, 0), (0, 0), (0, 0)), "N", EAST, "E"), "not a finite number"),
        ((((0, 0),) * 3, None, ((0, 0),) * 3, None), "not a finite number"),
        ((((48, 0), (51, 1), (30, 1)), "N", EAST, "E"), "not a finite number"),
        ((((48, 1), (0, 0), (30, 1)), "N", EAST, "E"), "not a finite number"),
        (((IFDRational(5, 0), 1, 2), "N", EAST, "E"), "not a finite number"),
        (((float("nan"),), "N", EAST, "E"), "not a finite number"),
        ((((0, 1),) * 3, "N", ((0, 1),) * 3, "E"), "exactly 0, 0"),
        ((((0, 1),) * 3, None, ((0, 1),) * 3, None), "exactly 0, 0"),
        ((((213, 1), (36, 1), (0, 1)), "N", EAST, "E"), "latitude outside -90..90"),
        ((EAST, "N", ((181, 1), (0, 1), (0, 1)), "W"), "longitude outside -180..180"),
        ((EAST, None, EAST, "E"), reasons.HEMISPHERE),
        ((EAST, "", EAST, "E"), reasons.HEMISPHERE),
        ((EAST, "N", EAST, b"\0"), reasons.HEMISPHERE),
        ((EAST, "E", EAST, "E"), reasons.HEMISPHERE),
        ((EAST, "X", EAST, "E"), reasons.HEMISPHERE),
        ((EAST, "Nowhere", EAST, "E"), reasons.HEMISPHERE),
        ((((-33, 1), (51, 1), (0, 1)), "N", EAST, "E"), reasons.CONTRADICTION),
        (("33.5 S", "N", EAST, "E"), reasons.CONTRADICTION),
        ((((48, 1), (51, 1)), "N", EAST, "E"), reasons.INCOMPLETE),
        ((((48, 1), (51, 1), (0, 0)), "N", EAST, "E"), reasons.INCOMPLETE),
        ((((48, 1),), "N", EAST, "E"), reasons.INCOMPLETE),
        ((((48, 1), (75, 1), (0, 1)), "N", EAST, "E"), reasons.SIXTY),
        ((((48, 1), (5, 1), (-3, 1)), "N", EAST, "E"), reasons.SIXTY),
        ((("48 -51 3"), "N", EAST, "E"), reasons.SIXTY),
        (((), "N", EAST, "E"), reasons.UNREADABLE),
        (((1, 2, 3, 4), "N", EAST, "E"), reasons.UNREADABLE),
        (("somewhere", "N", EAST, "E"), reasons.UNREADABLE),
        (("48.85.3", "N", EAST, "E"), reasons.UNREADABLE),
        (("4" * 10**6, "N", EAST, "E"), "latitude outside -90..90"),
    ],
)
def test_what_is_doubtful_is_refused_with_its_reason(words: tuple[Any, Any, Any, Any], reason: str) -> None:
    with pytest.raises(Unplaced) as error:
        position(*words)
    assert str(error.value) == reason


def test_cells_of_tables() -> None:
    assert written("-33.857", "latitude") == -33.857
    assert written(" 12 ", "longitude") == 12.0
    assert written("151.25 e", "longitude") == 151.25
    assert written("33 51 25.2 S", "latitude") == pytest.approx(-33.857)
    assert written("-33 51 25.2", "latitude") == pytest.approx(-33.857)
    for text, reason in (("33 51 25.2", reasons.HEMISPHERE), ("n/a", reasons.UNREADABLE), ("NaN", FAULTS[2])):
        with pytest.raises(Unplaced) as error:
            written(text, "latitude")
        assert str(error.value) == reason
