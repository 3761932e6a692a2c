"""What a net of a volume is taught, from labels: where boundaries are, or whether two voxels are of one neuron.

An affinity is 1 where a voxel and the one at an offset from it have the same label, and that is not 0: nearest
neighbours say where boundaries run, far ones (9 voxels and more) see whether a gap is one. What is not known teaches
nothing: voxels of unknown label, and affinities of which one end is unknown or lies outside of the volume. Of two
known ends, those outside of a crop are known, since labels are read as far beyond it as offsets reach.

Reference: Lee, Zung, Li, Jain & Seung, "Superhuman accuracy on the SNEMI3D connectomics challenge", 2017 (long-range
affinities as an auxiliary task); Turaga et al., "Convolutional networks can learn to generate affinity graphs for image
segmentation", Neural Computation 2010.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from vision.accumulator import Array
from vision.connectomics.blocks import Zyx

UNKNOWN = -1
"""A label that nobody has given: outside of the volume, or to be ignored."""

UNTAUGHT = 255
"""A target that does not count."""

NEAREST: tuple[Zyx, ...] = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


def parse_offsets(text: str) -> tuple[Zyx, ...]:
    """Offsets in voxels from `Z,Y,X;Z,Y,X;...`.

    >>> parse_offsets("-1,0,0; 0,-9,0")
    ((-1, 0, 0), (0, -9, 0))

    Raises:
        ValueError: naming what is none, is given twice, or leads nowhere.
    """
    found: list[Zyx] = []
    for part in filter(None, (part.replace(" ", "") for part in text.split(";"))):
        if not re.fullmatch(r"-?\d+,-?\d+,-?\d+", part):
            raise ValueError(f"offsets are Z,Y,X;Z,Y,X;... in voxels, got {part!r}")
        z, y, x = map(int, part.split(","))
        found.append((z, y, x))
    if not found or len(set(found)) < len(found) or (0, 0, 0) in found:
        raise ValueError(f"offsets must be some, each once and none of them 0,0,0, got {text!r}")
    return tuple(found)


def boundaries(labels: Array, axes: Sequence[int] = (1, 2)) -> Array:
    """Where a boundary is: label 0, or a neighbour of another label.

    Args:
        labels: (Z, Y, X) int64, 0 = boundary or outside of all cells, `UNKNOWN`.
        axes: along which neighbours are looked at; (1, 2) within a section.

    Returns:
        (Z, Y, X) uint8: 1, 0, or `UNTAUGHT` where the label is unknown.
    """
    found = labels == 0
    for axis in axes:
        low, high = _ends(labels, axis)
        differ = (labels[low] != labels[high]) & (labels[low] != UNKNOWN) & (labels[high] != UNKNOWN)
        found[low] |= differ
        found[high] |= differ
    return np.where(labels == UNKNOWN, UNTAUGHT, found).astype(np.uint8)


def affinities(labels: Array, offsets: Sequence[Zyx]) -> Array:
    """Whether voxels and those at offsets from them are of one neuron.

    Args:
        labels: (Z, Y, X) int64, 0 = of no neuron, `UNKNOWN`.
        offsets: (C) voxels.

    Returns:
        (C, Z, Y, X) uint8: 1, 0, or `UNTAUGHT` where an end is unknown or lies outside.
    """
    found = np.full((len(offsets), *labels.shape), UNTAUGHT, np.uint8)
    for channel, offset in zip(found, offsets, strict=True):
        pairs = [_overlap(size, step) for size, step in zip(labels.shape, offset, strict=True)]
        here, there = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
        first, second = labels[here], labels[there]
        known = (first != UNKNOWN) & (second != UNKNOWN)
        channel[here] = np.where(known, (first == second) & (first != 0), UNTAUGHT)
    return found


def eroded(labels: Array, by: int) -> Array:
    """Labels (Z, Y, X) without what lies within `by` voxels, in the section, of another label: 0 there.

    Membranes of a voxel or two are hard to see and cost nothing when they are drawn wider.
    """
    for _ in range(by):
        found = labels.copy()
        for axis in (1, 2):
            low, high = _ends(labels, axis)
            differ = (labels[low] != labels[high]) & (labels[low] != UNKNOWN) & (labels[high] != UNKNOWN)
            for side in (low, high):
                found[side] = np.where(differ & (labels[side] != UNKNOWN), 0, found[side])
        labels = found
    return labels


def _ends(labels: Array, axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What cuts out all voxels but the last along an axis, and all but the first."""
    whole = [slice(None)] * labels.ndim
    low, high = list(whole), list(whole)
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return tuple(low), tuple(high)


def _overlap(size: int, step: int) -> tuple[slice, slice]:
    """Places along an axis that have one `step` further inside, and those."""
    begin, end = max(0, -step), min(size, size - step)
    end = max(begin, end)
    return slice(begin, end), slice(begin + step, end + step) if end > begin else slice(0, 0)
