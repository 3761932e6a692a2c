"""Photos of one album, answered together: each says something about where the others were taken.

Pure functions over rows of log-probabilities in the order in which the photos were taken, (T, K), natural logarithms
over K cells. The plainest (PlaNet's own baseline) gives all photos one answer; one that fades with time lets a
traveller move; Viterbi finds the likeliest way that nobody would have to fly too fast for.

PlaNet on Google+ albums, per cent within 1, 25, 200, 750 and 2,500 km: single photos 14.9/20.3/27.4/42.0/61.8, the mean
over the album 22.2/35.6/51.4/68.6/82.7, its LSTM 32.0/42.1/57.9/75.5/87.9 (`vision.geolocation.sequence`).

Reference: Weyand, Kostrikov & Philbin, "PlaNet", ECCV 2016, section 4; Viterbi, "Error bounds for convolutional codes
and an asymptotically optimum decoding algorithm", IEEE Transactions on Information Theory 1967.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vision.accumulator import Array
from vision.softmax import log_softmax
from vision.sphere import EARTH_KM, unit_vectors

_FLOOR = -1e4
"""Stands for the logarithm of nothing where sums are formed: what one photo excludes, others can hardly bring back."""


def mean(rows: Array) -> Array:
    """One answer for the whole album: the normalised mean of its log-probabilities.

    Args:
        rows: (T, K), at least one row.

    Returns:
        (K,) log-probabilities. The mean, not the sum: photos of one afternoon are no independent witnesses.

    Raises:
        ValueError: if rows are not (T, K).
    """
    found: Array = log_softmax(_checked(rows).mean(axis=0, keepdims=True))[0]
    return found


def decayed(rows: Array, times_s: Array, scale_s: float) -> Array:
    """An answer for each photo: the mean over the album, in which others count the less the longer before or after.

    Args:
        rows: (T, K).
        times_s: (T,) seconds, in any order; nan for a photo without a time, which speaks for itself alone.
        scale_s: a photo so far away in time counts 1/e; infinite: as `mean`.

    Returns:
        (T, K) log-probabilities.

    Raises:
        ValueError: if shapes do not fit, or the scale is not above 0.
    """
    rows = _checked(rows)
    times_s = _times(times_s, len(rows))
    if not scale_s > 0:
        raise ValueError(f"scale_s must be above 0, got {scale_s}")
    apart = np.abs(times_s[:, None] - times_s[None])  # (T, T)
    weights = np.where(np.isnan(apart), 0.0, np.exp(-np.nan_to_num(apart) / scale_s))
    np.fill_diagonal(weights, 1.0)
    return log_softmax(weights @ rows / weights.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Travel:
    """How fast people move.

    Attributes:
        speed_km_h: the fastest that costs nothing; an airliner does 900.
        slack_km: a distance that takes no time: neither cells nor clocks are exact.
        per_km: what a kilometre beyond that costs, in nats; infinite: nobody goes faster.
    """

    speed_km_h: float = 900.0
    slack_km: float = 50.0
    per_km: float = math.inf

    def __post_init__(self) -> None:
        if min(self.speed_km_h, self.slack_km) < 0 or not self.per_km > 0:
            raise ValueError(f"speeds and distances are from 0 up and a cost is above 0, got {self}")

    def cost(self, km: Array, seconds: float) -> Array:
        """Nats that ways of `km` cost in so much time; with an unknown time (nan) every way is free."""
        if math.isnan(seconds):
            return np.zeros_like(km)
        beyond = np.maximum(km - self.slack_km - self.speed_km_h * abs(seconds) / 3600, 0.0)
        nats: Array = np.where(beyond > 0, beyond * self.per_km if math.isfinite(self.per_km) else math.inf, 0.0)
        return nats


@dataclass(frozen=True, eq=False)
class Way:
    """Where an album went: (T,) int64 cells, and the log-probability of the whole way with what it cost."""

    cells: Array
    score: float


def viterbi(rows: Array, times_s: Array, places: Array, travel: Travel | None = None, keep: int = 200) -> Way:
    """The likeliest sequence of cells, by the photos and by how fast people move.

    Args:
        rows: (T, K), in the order of time.
        times_s: (T,) seconds, not descending; nan where unknown.
        places: (K, 2) degrees, where each cell's photos lie.
        keep: only cells count that are among the best `keep` of some photo: 26,263 cells would be 690 million ways
            from each photo to the next. There is always a way: to stay.

    Returns:
        the way; of equally likely ones the one through the lowest cells.

    Raises:
        ValueError: if shapes do not fit or times descend.
    """
    rows, travel = _checked(rows), travel or Travel()
    times_s = _times(times_s, len(rows))
    known = times_s[~np.isnan(times_s)]
    if (np.diff(known) < 0).any():
        raise ValueError("times_s must not descend: sort an album by time first")
    if places.shape != (rows.shape[1], 2):
        raise ValueError(f"places must be ({rows.shape[1]}, 2), got {places.shape}")
    cells = _candidates(rows, keep)
    km = _distances(places[cells])
    best, back = rows[0, cells], []
    for photo in range(1, len(rows)):
        ways = best[:, None] - travel.cost(km, float(times_s[photo] - times_s[photo - 1]))  # (from, to)
        back.append(ways.argmax(axis=0))
        best = ways.max(axis=0) + rows[photo, cells]
    found = [int(best.argmax())]
    for came in reversed(back):
        found.append(int(came[found[-1]]))
    return Way(cells[found[::-1]], float(best.max()))


def _candidates(rows: Array, keep: int) -> Array:
    """(C,) cells that are among the best of some photo, ascending."""
    best = np.argsort(-rows, axis=1, kind="stable")[:, : max(keep, 1)]
    return np.unique(best)


def _distances(places: Array) -> Array:
    """(C, C) kilometres."""
    points = unit_vectors(places[:, 0], places[:, 1])
    chords = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    km: Array = 2 * EARTH_KM * np.arcsin(np.minimum(chords / 2, 1.0))
    return km


def _checked(rows: Array) -> Array:
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"rows must be (T, K) log-probabilities, got {rows.shape}")
    return np.maximum(rows, _FLOOR)


def _times(times_s: Array, count: int) -> Array:
    times_s = np.asarray(times_s, np.float64)
    if times_s.shape != (count,):
        raise ValueError(f"times_s must be ({count},), got {times_s.shape}")
    return times_s
