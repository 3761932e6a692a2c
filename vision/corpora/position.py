"""Latitudes and longitudes as cameras and people write them, to signed degrees; what is doubtful is refused.

`(48/1, 51/1, 3012/100)` with a reference, decimal minutes `(48/1, 5150/100)` or `(48/1, 5150/100, 0/0)`, decimal
degrees `(4885/100)`, `48 deg 51' 30.1" N`, `51,30.5N`, `-33.86`. A number that was left out (0/0 at the end) is not
0: whole minutes without seconds may be a mile off, and are refused. Nothing is clamped and no hemisphere guessed.

Reference: Exif 2.32, tags GPSLatitude and GPSLongitude.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vision.sphere import FAULTS, faults

Axis = Literal["latitude", "longitude"]
AXES: tuple[Axis, ...] = ("latitude", "longitude")

NOWHERE = "no position"
UNREADABLE = "not a number of degrees"
NOT_FINITE, ZERO = FAULTS[2], FAULTS[5]
HEMISPHERE = "no hemisphere (N or S, E or W)"
CONTRADICTION = "sign and hemisphere contradict each other"
INCOMPLETE = "minutes or seconds are left out"
SIXTY = "minutes or seconds outside 0..60"

_SIGNS = {
    "latitude": {"N": 1, "NORTH": 1, "S": -1, "SOUTH": -1},
    "longitude": {"E": 1, "EAST": 1, "W": -1, "WEST": -1},
}
_LONGEST = 100
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?:\s*/\s*\d+)?"
_TEXT = re.compile(
    rf"\s*([A-Za-z]*)\s*({_NUMBER}(?:[^\dA-Za-z.+/-]+(?:deg|min|sec)?\W*{_NUMBER}){{0,2}})(.*)", re.DOTALL
)
_MARKS = re.compile(r"[\Wº]*(?:deg)?\W*([A-Za-z]*)\W*")


class Unplaced(ValueError):
    """A position that cannot be where a photo was taken; its text is the reason."""


def position(latitude: Any, latitude_reference: Any, longitude: Any, longitude_reference: Any) -> tuple[float, float]:
    """Where EXIF says a photo was taken.

    Args:
        latitude, longitude: up to three numbers, fractions or (numerator, denominator); or text; None for none.
        latitude_reference, longitude_reference: N or S, E or W, in any case, as text or bytes; None for none.

    Returns:
        latitude and longitude, signed degrees.

    Raises:
        Unplaced: with the reason.
    """
    if latitude is None and longitude is None:
        raise Unplaced(NOWHERE)
    first, second = _plain(latitude, "latitude"), _plain(longitude, "longitude")
    if first.degrees == 0 == second.degrees:
        raise Unplaced(ZERO)  # before a word about hemispheres: who writes 0, 0 knows nothing
    place = first.signed(latitude_reference), second.signed(longitude_reference)
    fault = int(faults(np.array(place[:1]), np.array(place[1:]))[0])
    if fault:
        raise Unplaced(FAULTS[fault])
    return place


def written(value: str, axis: Axis) -> float:
    """A table's cell as signed degrees: `-33.86`, or degrees, minutes and seconds with a hemisphere or a sign.

    Raises:
        Unplaced: with the reason.
    """
    found = _plain(value, axis)
    if found.parts == 1 and not found.hemisphere:
        return found.degrees
    return found.signed(None)


@dataclass(frozen=True)
class _Plain:
    """One coordinate before its hemisphere is known: degrees with the sign, and maybe the hemisphere, written there."""

    degrees: float
    axis: Axis
    hemisphere: str = ""
    negative: bool = False
    parts: int = 3

    def signed(self, reference: Any) -> float:
        """Degrees with the sign of the hemisphere; a minus alone tells it too.

        Raises:
            Unplaced: if none is told, or two.
        """
        told = [word.upper() for word in (self.hemisphere, _text(reference)) if word]
        if not told and self.negative:
            return self.degrees
        known = _SIGNS[self.axis]
        if not told or not all(word in known for word in told):
            raise Unplaced(HEMISPHERE)
        signs = {known[word] for word in told}
        if len(signs) > 1 or (self.negative and signs == {1}):
            raise Unplaced(CONTRADICTION)
        return signs.pop() * abs(self.degrees)


def _plain(value: Any, axis: Axis) -> _Plain:
    if value is None:
        raise Unplaced(f"no {axis}")
    if isinstance(value, str | bytes):
        return _of_text(_text(value), axis)
    numbers = [_number(part) for part in (value if isinstance(value, Sequence) else (value,))]
    return _Plain(_degrees(numbers), axis, negative=bool(numbers) and numbers[0] < 0)


def _of_text(text: str, axis: Axis) -> _Plain:
    found = _TEXT.fullmatch(text[:_LONGEST])
    rest = _MARKS.fullmatch(found[3]) if found else None
    if found is None or rest is None or (found[1] and rest[1]):
        raise Unplaced(NOT_FINITE if text.strip().lower() in ("nan", "inf", "-inf") else UNREADABLE)
    numbers = [_fraction(part) for part in re.findall(_NUMBER, found[2])]
    degrees = numbers[0] if len(numbers) == 1 else _degrees(numbers)
    return _Plain(degrees, axis, found[1] or rest[1], found[2].startswith("-"), len(numbers))


def _degrees(numbers: list[float]) -> float:
    """Degrees, minutes and seconds as degrees, with the sign of the degrees.

    Raises:
        Unplaced: if numbers are left out, not finite, or not of a clock.
    """
    given = numbers[:3]
    while given and math.isnan(given[-1]):
        given.pop()
    if not given or len(numbers) > 3 or not all(map(math.isfinite, given)):
        raise Unplaced(NOT_FINITE if numbers and len(numbers) <= 3 else UNREADABLE)
    if len(given) < 3 and given[-1].is_integer():
        raise Unplaced(INCOMPLETE)
    if not all(0 <= part <= 60 for part in given[1:]):
        raise Unplaced(SIXTY)
    size = sum(abs(part) / 60**power for power, part in enumerate(given))
    return math.copysign(size, given[0])


def _number(part: Any) -> float:
    """A number, a fraction or (numerator, denominator); nan for 0/0, infinite for more of it."""
    if isinstance(part, tuple):
        over, under = part
        return over / under if under else math.copysign(math.inf, over) if over else math.nan
    under = getattr(part, "denominator", 1)
    return float(part) if under else _number((part.numerator, 0))


def _fraction(text: str) -> float:
    over, _, under = text.partition("/")
    return _number((float(over), int(under))) if under else float(over)


def _text(value: Any) -> str:
    """Text or bytes as text, without the zeros that end it."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    return str(value).strip("\0 \t\r\n")
