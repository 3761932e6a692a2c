"""Where a loss curve stands still and where it falls at once, as stretches of steps.

The curve is cut into windows of equal length and each is averaged: noise from batch to batch is much larger than what
a training gains in a step. A plateau is a run of windows, a tenth of the curve at least, that gains less than 2 % of
what the whole curve does; a drop is a fall within two windows of over 5 % of it that is four times those round it, as
follows a cut of the learning rate ("why so steep?": the noise of large steps ends).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WINDOWS = 40
_LEAST = 4  # windows of a plateau


@dataclass(frozen=True)
class Event:
    """A stretch of a curve: `plateau` or `drop`, its first and last step, and the mean loss there."""

    kind: str
    first: int
    last: int
    before: float
    after: float

    def __str__(self) -> str:
        if self.kind == "plateau":
            return f"plateau from step {self.first:,} to {self.last:,}: the loss stays at {self.after:.3f}"
        return f"drop at step {self.last:,}: the loss falls from {self.before:.3f} to {self.after:.3f}"


def events(steps: Sequence[int], losses: Sequence[float], rate_cuts: Sequence[int] = ()) -> list[Event]:
    """Plateaus and drops, in order; none of a curve with fewer than 80 points.

    Args:
        steps, losses: the curve, steps ascending.
        rate_cuts: steps at which the learning rate was cut: a fall right after one is a drop at half the height.
    """
    if len(steps) < 2 * WINDOWS:
        return []
    windows = np.array_split(np.asarray(losses, np.float64), WINDOWS)
    firsts = [int(part[0]) for part in np.array_split(np.asarray(steps), WINDOWS)]
    means = np.array([window.mean() for window in windows])
    reach = float(means.max() - means.min())
    if reach <= 0:
        return [Event("plateau", int(steps[0]), int(steps[-1]), float(means[0]), float(means[0]))]
    found = [*_plateaus(means, firsts, int(steps[-1]), reach), *_drops(means, firsts, reach, rate_cuts)]
    return sorted(found, key=lambda event: event.first)


def _plateaus(
    means: np.ndarray[tuple[int], np.dtype[np.float64]], firsts: list[int], end: int, reach: float
) -> list[Event]:
    found, begin = [], 0
    for window in range(1, WINDOWS + 1):
        if window < WINDOWS and abs(means[window] - means[begin]) < 0.02 * reach:
            continue
        if window - begin >= _LEAST:
            last = firsts[window] - 1 if window < WINDOWS else end
            found.append(Event("plateau", firsts[begin], last, float(means[begin]), float(means[begin:window].mean())))
        begin = window
    return found


def _drops(
    means: np.ndarray[tuple[int], np.dtype[np.float64]], firsts: list[int], reach: float, cuts: Sequence[int]
) -> list[Event]:
    falls = means[:-1] - means[1:]
    found, window = [], 1
    # A fall may be cut by the border of two windows: a pair of falls is held against those round it.
    while window + 2 < len(falls):
        pair, around = falls[window] + falls[window + 1], max(abs(falls[window - 1]), abs(falls[window + 2]))
        near = any(firsts[window] <= cut <= firsts[window + 2] for cut in cuts)
        if pair > 0.05 * reach * (0.5 if near else 1) and pair > 4 * around * (0.5 if near else 1):
            at = window + 1 + int(falls[window + 1] > falls[window])
            found.append(Event("drop", firsts[at - 1], firsts[at], float(means[window]), float(means[window + 2])))
            window += 2
        window += 1
    return found
