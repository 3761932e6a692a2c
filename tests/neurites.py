"""Synthetic neurites: volumes of any size, of which any box has the same bits on its own as cut out of the whole.

Everything is a hash of coordinates in integers; there is no generator state and no end to the volume. Fibres run along
z, each in its own cell of 16 x 16 voxels, wander within it, and drift together by more than a cell, so they cross the
faces of blocks on all axes. A neuron is two neighbouring fibres, which touch only in a window of four slices once in
80: to see that they are one, a segmentation in blocks has to join through many of them. About 7 million voxels per
second of CPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vision.connectomics.blocks import Box

Array = npt.NDArray[Any]

CELL, RADIUS, WANDER, BRIDGE = 16, 5, 2, 2
_KNOT, _DRIFT_KNOT, _DRIFT = 16, 32, 24
_PERIOD, _WINDOW = 80, 4
_FAR = 1 << 20
_FINE = 16  # positions are in sixteenths of a voxel


def labels(box: Box, seed: int = 0) -> Array:
    """Neuron ids of a box, (Z, Y, X) uint64, sparse, 0 = outside of all."""
    rows, columns, neuron, inside = _cells(box, seed)
    return np.where(inside, _gathered(neuron, rows, columns), np.uint64(0))


def boundary(box: Box, seed: int = 0, noise: int = 0) -> Array:
    """The boundary map that a good network would make, (Z, Y, X) uint8: 0 in a neuron and 255 outside.

    Args:
        noise: 0..127; each voxel moves by up to as much towards the middle, by its own hash.
    """
    inside = _cells(box, seed)[3]
    perfect = np.where(inside, 0, 255).astype(np.int64)
    if noise:
        z, y, x = (np.arange(b, e) for b, e in zip(*box, strict=True))
        shift = _mixed(seed + 7, z[:, None, None], y[:, None], x) % np.uint64(noise + 1)
        perfect += np.where(inside, 1, -1) * shift.astype(np.int64)
    return perfect.astype(np.uint8)


def _cells(box: Box, seed: int) -> tuple[Array, Array, Array, Array]:
    """Cell rows (Z, Y) and columns (Z, X), the neuron of each cell, and which voxels are in it (Z, Y, X)."""
    z, y, x = (np.arange(b, e) for b, e in zip(*box, strict=True))
    drift = [_noise(seed + axis, z, _DRIFT_KNOT, _DRIFT, np.int64(0), np.int64(0)) // _FINE for axis in (1, 2)]
    v, u = y - drift[0][:, None], x - drift[1][:, None]  # (Z, Y), (Z, X)
    row, column = v // CELL, u // CELL
    low, left = int(row.min()), int(column.min()) // 2 * 2
    i, j = np.arange(low, int(row.max()) + 1), np.arange(left, int(column.max()) // 2 * 2 + 2)  # whole pairs of cells
    grid = (z[:, None, None], i[:, None], j)
    centre_y, centre_x = (_noise(seed + axis, grid[0], _KNOT, WANDER, grid[1], grid[2]) for axis in (3, 4))  # (Z, I, J)
    rows, columns = row - low, column - left
    dy = (v % CELL * _FINE)[:, :, None] - _gathered(centre_y, rows, columns) - CELL // 2 * _FINE
    dx = (u % CELL * _FINE)[:, None, :] - _gathered(centre_x, rows, columns) - CELL // 2 * _FINE
    inside = dy * dy + dx * dx <= (RADIUS * _FINE) ** 2
    outward = np.where(column % 2 == 0, 1, -1)[:, None, :] * dx >= 0
    bridge = _gathered(_bridged(grid, seed), rows, columns) & outward & (np.abs(dy) <= BRIDGE * _FINE)
    neuron = ((i[:, None] + _FAR) << 21 | (j // 2 + _FAR)).astype(np.uint64)
    return rows, columns, np.broadcast_to(neuron, centre_y.shape), inside | bridge


def _bridged(grid: tuple[Array, Array, Array], seed: int) -> Array:
    """Whether the two fibres of each cell's neuron touch in a slice: (Z, I, J)."""
    z, i, j = grid
    begin = _mixed(seed + 5, z // _PERIOD, i, j // 2) % np.uint64(_PERIOD - _WINDOW)
    phase = z % _PERIOD - begin.astype(np.int64)
    return np.asarray((phase >= 0) & (phase < _WINDOW))


def _noise(seed: int, z: Array, knot: int, most: int, i: Array, j: Array) -> Array:
    """Smooth in z: hashes in -most..most at every `knot` slices, straight between; sixteenths of a voxel."""
    at, phase = z // knot, z % knot
    before, after = (
        (_mixed(seed, at + step, i, j) % np.uint64(2 * most + 1)).astype(np.int64) - most for step in (0, 1)
    )
    return (before * (knot - phase) + after * phase) * _FINE // knot


def _gathered(of_cell: Array, rows: Array, columns: Array) -> Array:
    """(Z, I, J) values of cells as those of voxels (Z, Y, X)."""
    return of_cell[np.arange(len(rows))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _mixed(seed: int, *coordinates: Array) -> Array:
    """A hash of coordinates that broadcast together, uint64 (splitmix64 after each)."""
    mixed = np.uint64(seed)
    with np.errstate(over="ignore"):  # wraps on purpose
        for coordinate in coordinates:
            mixed = (mixed ^ np.asarray(coordinate).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            mixed = mixed ^ (mixed >> np.uint64(31))
    return np.asarray(mixed)
