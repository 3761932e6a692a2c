"""Great circles as lines on a map of degrees: bent as they are, and cut where they pass 180 degrees.

The shortest way from London to Tokyo leads over Siberia, and one from Fiji to Samoa leaves the map on one side and
comes back on the other. RFC 7946 asks for such a line in two parts.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.sphere import positions, unit_vectors

STEP_DEGREES = 2.0
"""From one point of a line to the next: bends of a world map are smooth with it."""

_SAME = 1e-9  # radians: six millimetres
_ALONG = np.eye(3)
_DIGITS = 9

Line = list[tuple[float, float]]
"""(longitude, latitude) in degrees, two points or more."""


def arc(start: tuple[float, float], end: tuple[float, float], step_degrees: float = STEP_DEGREES) -> list[Line]:
    """The shortest way between two places, as lines that stay within -180..180.

    Args:
        start, end: latitude and longitude, degrees. Between places opposite each other all ways are as short, and one
            of them is taken; between a place and itself there is none, so nothing comes out.

    Raises:
        ValueError: if the step is not above 0.
    """
    if not step_degrees > 0:
        raise ValueError(f"step_degrees must be above 0, got {step_degrees}")
    a, b = unit_vectors(np.array([start[0], end[0]]), np.array([start[1], end[1]]))
    angle = float(2 * np.arcsin(min(1.0, float(np.linalg.norm(a - b)) / 2)))
    if angle < _SAME:
        return []
    share = np.linspace(0.0, 1.0, max(int(np.ceil(np.degrees(angle) / step_degrees)), 1) + 1)
    points = a[None] * np.cos(share * angle)[:, None] + _sideways(a, b)[None] * np.sin(share * angle)[:, None]
    latitudes, longitudes = positions(points)
    longitudes[0], longitudes[-1] = start[1], end[1]
    unwound = np.round(np.unwrap(longitudes, period=360), _DIGITS)
    return _cut(unwound, np.round(latitudes, _DIGITS), points)


def _sideways(a: Array, b: Array) -> Array:
    """(3,) the unit vector at a right angle to `a` that the way to `b` sets out along."""
    apart = b - (a @ b) * a
    if np.linalg.norm(apart) < _SAME:
        # Opposite each other: along the axis that is farthest from both.
        axis = _ALONG[int(np.abs(a).argmin())]
        apart = axis - (a @ axis) * a
    found: Array = apart / np.linalg.norm(apart)
    return found


def _cut(longitudes: Array, latitudes: Array, points: Array) -> list[Line]:
    """Lines within the map, of one (N, 3) whose longitudes go on past 180."""
    turns = np.floor((longitudes + 180) / 360)
    found: list[Line] = [[]]
    for point, (x, y, turn) in enumerate(zip(longitudes, latitudes, turns, strict=True)):
        if point and turn != turns[point - 1]:
            at, side = _border(*points[point - 1 : point + 1]), 180.0 if turn > turns[point - 1] else -180.0
            found[-1].append((side, at))
            found.append([(-side, at)])
        found[-1].append((float(x - 360 * turn), float(y)))
    lines = [list(dict.fromkeys(line)) for line in found]  # a point on the border comes twice
    return [line for line in lines if len(line) > 1]


def _border(a: Array, b: Array) -> float:
    """The latitude at which the way from `a` to `b` (3,) crosses the meridian of 180 degrees."""
    # The chord lies in the plane of the great circle, so it meets the meridian's plane where that does.
    share = a[1] / (a[1] - b[1]) if a[1] != b[1] else 0.0
    latitude, _ = positions(a + min(1.0, max(0.0, share)) * (b - a))
    return float(np.round(latitude, _DIGITS))
