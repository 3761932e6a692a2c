"""Where the photos of a cell are on average: sums of unit vectors in fixed point, the same in any order.

Every photo counts at the middle of its level-30 cell, at most a centimetre away, so that sums follow from ids alone. A
mean of vectors has no trouble at the antimeridian or a pole, where a mean of degrees is on the other side of the Earth.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import FIXED_BITS, Array
from vision.geolocation.counts import Leaves
from vision.geolocation.s2_geometry import centre

_CHUNK = 1 << 14
MOST = 2**31 - 1
"""Photos of one cell whose sum fits into 64 bits; 15 times all that PlaNet had."""


def sums(leaves: Leaves, cells: Array) -> Array:
    """Sums of the photos' unit vectors by cell; those of shards add up.

    Args:
        leaves: photos.
        cells: (M,) uint64, disjoint and ascending.

    Returns:
        (M, 3) int64, in units of 2**-32.

    Raises:
        ValueError: if a cell has more than `MOST` photos.
    """
    total = np.zeros((len(cells), 3), np.int64)
    begin, end = leaves.rows(cells)
    if len(cells) and leaves.count(cells).max() > MOST:
        raise ValueError(f"a cell of {leaves.count(cells).max():,} photos is too full: at most {MOST:,}")
    for start in range(0, len(leaves.ids), _CHUNK):
        stop = min(start + _CHUNK, len(leaves.ids))
        here = slice(np.searchsorted(end, start, side="right"), np.searchsorted(begin, stop))
        if here.start >= here.stop:
            continue
        running = _running(leaves, start, stop)
        low, high = (np.clip(edge[here], start, stop) - start for edge in (begin, end))
        total[here] += running[high] - running[low]
    return total


def _running(leaves: Leaves, start: int, stop: int) -> Array:
    """(n + 1, 3) int64 running sums of the photos start..stop."""
    fixed = np.rint(centre(leaves.ids[start:stop]) * 2.0**FIXED_BITS).astype(np.int64)
    if leaves.before is not None:
        fixed *= np.diff(leaves.before[start : stop + 1])[:, None]
    running = np.zeros((stop - start + 1, 3), np.int64)
    np.cumsum(fixed, axis=0, out=running[1:])
    return running


def means(totals: Array, counts: Array) -> Array:
    """(M, 3) float64 mean vectors: they point at the mean position, and are the shorter the wider photos lie.

    Args:
        totals: (M, 3) int64 of `sums`.
        counts: (M,) int64, above zero.
    """
    return totals / (counts[:, None] * 2.0**FIXED_BITS)
