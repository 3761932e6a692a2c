"""How far two places are apart, by the formula and the radius that a paper took.

What papers on geolocation report as accuracy "at 25 km" is mostly the haversine on a sphere of 6371 km (GeoEstimation,
Revisited Im2GPS); PIGEON takes 6378.137 km and GeoCLIP the ellipsoid. They are up to 0.56 % apart, which moves a few
photos in thousands over a threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vision.accumulator import Array
from vision.sphere import EARTH_KM, great_circle_km

Formula = Literal["haversine", "vincenty"]

EQUATOR_KM, FLATTENING = 6378.137, 1 / 298.257223563
"""The ellipsoid of WGS84."""
_ROUNDS = 200


@dataclass(frozen=True)
class Distance:
    """A way to measure, with its parameters.

    Attributes:
        formula: `haversine` on a sphere, or `vincenty` on the ellipsoid of WGS84.
        radius_km: of the sphere.
    """

    formula: Formula = "haversine"
    radius_km: float = EARTH_KM

    def __post_init__(self) -> None:
        if self.formula not in get_args(Formula):
            raise ValueError(f"formula must be one of {', '.join(get_args(Formula))}, got {self.formula!r}")
        if not 0 < self.radius_km < 10_000:
            raise ValueError(f"radius_km must be the Earth's, got {self.radius_km}")

    @property
    def longest_km(self) -> float:
        """Half way round: no two places are further apart."""
        return math.pi * (self.radius_km if self.formula == "haversine" else EQUATOR_KM)

    def between(self, a: Array, b: Array) -> Array:
        """Kilometres between pairs of places.

        Args:
            a, b: (N, 2) latitude and longitude, degrees.

        Returns:
            (N,) float64.

        Raises:
            ValueError: if either is not (N, 2).
        """
        return great_circle_km(a, b, self.radius_km) if self.formula == "haversine" else vincenty_km(a, b)


def vincenty_km(a: Array, b: Array) -> Array:
    """Distance on the ellipsoid of WGS84, to half a millimetre.

    Nearly opposite places (within about half a degree), where the series does not settle, get the way along meridians
    over the nearer pole: less than 0.4 % too far, and a miss at any threshold.

    Args:
        a, b: (N, 2) latitude and longitude, degrees.

    Returns:
        (N,) kilometres.

    Raises:
        ValueError: if either is not (N, 2).

    Reference: Vincenty, "Direct and inverse solutions of geodesics on the ellipsoid with application of nested
    equations", Survey Review 1975.
    """
    great_circle_km(a, b)  # refuses other shapes
    from_, to = np.radians(np.asarray(a, np.float64)), np.radians(np.asarray(b, np.float64))
    u1, u2 = (np.arctan((1 - FLATTENING) * np.tan(np.ascontiguousarray(x[:, 0]))) for x in (from_, to))
    apart = np.ascontiguousarray(to[:, 1] - from_[:, 1])
    apart -= 2 * np.pi * np.round(apart / (2 * np.pi))
    turn, settled = apart.copy(), np.zeros(len(apart), bool)
    for _ in range(_ROUNDS):
        sine, cosine, arc, across, middle = _angles(u1, u2, turn)
        c = FLATTENING / 16 * across * (4 + FLATTENING * (4 - 3 * across))
        bend = arc + c * sine * (middle + c * cosine * (2 * middle**2 - 1))
        along = np.divide(np.cos(u1) * np.cos(u2) * np.sin(turn), sine, out=np.zeros_like(sine), where=sine > 0)
        after = apart + (1 - c) * FLATTENING * along * bend
        now = np.abs(after - turn) < 1e-13
        turn, settled = np.where(settled, turn, after), settled | now
        if settled.all():
            break
    opposite = ~settled | (np.abs(turn) > np.pi)
    return np.where(opposite, _over_the_pole(u1, u2), _length(u1, u2, turn))


def _angles(u1: Array, u2: Array, turn: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Sine, cosine and size of the arc, the squared cosine of its azimuth at the equator, and cos 2 sigma_m."""
    across = np.cos(u1) * np.sin(u2) - np.sin(u1) * np.cos(u2) * np.cos(turn)
    sine = np.hypot(np.cos(u2) * np.sin(turn), across)
    cosine = np.sin(u1) * np.sin(u2) + np.cos(u1) * np.cos(u2) * np.cos(turn)
    azimuth = np.divide(np.cos(u1) * np.cos(u2) * np.sin(turn), sine, out=np.zeros_like(sine), where=sine > 0)
    squared = 1 - azimuth**2
    both = 2 * np.sin(u1) * np.sin(u2)
    middle = cosine - np.divide(both, squared, out=np.zeros_like(sine), where=squared > 1e-12)
    return sine, cosine, np.arctan2(sine, cosine), squared, middle


def _length(u1: Array, u2: Array, turn: Array) -> Array:
    sine, cosine, arc, squared, middle = _angles(u1, u2, turn)
    polar = EQUATOR_KM * (1 - FLATTENING)
    k = squared * (EQUATOR_KM**2 - polar**2) / polar**2
    big = 1 + k / 16384 * (4096 + k * (-768 + k * (320 - 175 * k)))
    small = k / 1024 * (256 + k * (-128 + k * (74 - 47 * k)))
    inner = cosine * (2 * middle**2 - 1) - small / 6 * middle * (4 * sine**2 - 3) * (4 * middle**2 - 3)
    length: Array = polar * big * (arc - small * sine * (middle + small / 4 * inner))
    return length


def _over_the_pole(u1: Array, u2: Array) -> Array:
    """From a place along its meridian to the nearer pole, and down the other's."""
    zero = np.zeros_like(u1)
    pole = np.where(u1 + u2 >= 0, np.pi / 2, -np.pi / 2)
    return _length(u1, pole, zero) + _length(pole, u2, zero)
