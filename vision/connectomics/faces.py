"""Faces between fragments counted by pair and value: one sort of packed keys, the costly part of edge statistics.

A block's ids span few bits, so both ids and the value fit into one unsigned number, of 32 bits where it can be: sorting
those is several times faster than sorting rows, and faces of a pair with one value are then one row.
"""

from __future__ import annotations

import numpy as np

from vision.accumulator import Array
from vision.connectomics.grouped import by_pair, run_starts

UNIT = 510
"""Of a face's value: 510 is a certain boundary, 0 none."""
_BITS = 9  # of a value


def distinct_faces(low: Array, high: Array, values: Array) -> tuple[Array, Array, Array, Array]:
    """Rows (low id, high id, value, faces), sorted; value and faces int64.

    Args:
        low, high: (N,) ids.
        values: (N,) unsigned, 0..510.
    """
    if not len(low):
        return low, high, np.empty(0, np.int64), np.empty(0, np.int64)
    first, second = int(low.min()), int(high.min())
    width = (int(high.max()) - second).bit_length()
    bits = (int(low.max()) - first).bit_length() + width + _BITS
    if bits > 64:
        return _wide(low, high, values)
    kind = np.uint32 if bits <= 32 else np.uint64
    keys = (low - low.dtype.type(first)).astype(kind) << kind(width)
    keys |= (high - high.dtype.type(second)).astype(kind)
    keys = np.sort((keys << kind(_BITS)) | values.astype(kind))
    starts = run_starts(keys)
    packed = keys[starts]
    pair = packed >> kind(_BITS)
    return (
        (pair >> kind(width)).astype(np.uint64) + np.uint64(first),
        (pair & kind((1 << width) - 1)).astype(np.uint64) + np.uint64(second),
        (packed & kind((1 << _BITS) - 1)).astype(np.int64),
        np.diff(starts, append=len(keys)).astype(np.int64),
    )


def _wide(low: Array, high: Array, values: Array) -> tuple[Array, Array, Array, Array]:
    """The same where the ids are too far apart for that: pairs become small numbers first."""
    pairs = by_pair(low, high)
    number, _, value, faces = distinct_faces(pairs.of_rows(), np.zeros(len(low), np.int64), values)
    rows = number.astype(np.int64)
    return pairs.first[rows], pairs.second[rows], value, faces
