"""The order in which training sees records: a function of (seed, epoch, rows of the corpus), never of the machines.

A corpus is a list of units (row groups) of known sizes, and a row is a number: its place when the units are laid end
to end. In each epoch the units are permuted and dealt into windows of at most `buffer_rows` rows, and the rows of a
window are permuted; global batches are cut from that sequence across the borders of windows. A global batch is cut
into micro-batches, of which each worker takes a contiguous block. So one, two or four workers see the same batches,
and whoever knows the sizes knows the whole order: after a restart training goes on at any batch, with any workers.

**How far from a full shuffle.** With buffer_rows >= rows it is one: every order is possible. Otherwise two rows of a
unit always come in the same window, within buffer_rows of each other, and a batch holds rows of at most
buffer_rows / (rows of a unit) units: of 128 units, with 16,384 rows of buffer and units of 128. Where the corpus lies
sorted by class, so that a unit has one class, a window of ImageNet's 1.28 million holds some 120 of 1,000 classes
(1000 * (1 - (1 - 1/1000)**128)); its batches are drawn from those. Ingest in mixed order, or raise the buffer, where
that matters: the share of pairs of rows that can meet in a batch is buffer_rows / rows in any one epoch.

**What it costs to read.** A worker keeps the encoded bytes of its own rows of a window, buffer_rows / workers of them
(16,384 rows of 110 KB with 4 workers: 450 MB), and while it trains on one window the next is read. But a row group is
the least that Parquet reads, and each worker needs rows of nearly all of them: W workers read every byte W times, as
long as decoded pixels do not fit into memory. Decoding, some ten times as dear, happens once.

Reference: two-level shuffles in Meng et al., "Convergence analysis of distributed stochastic gradient descent with
shuffling", Neurocomputing 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vision.draws import Array, permutation

_UNITS, _ROWS = 1, 2  # what a draw is for


@dataclass(frozen=True)
class Window:
    """Rows that are shuffled together.

    Attributes:
        first: where the window begins in the epoch's sequence.
        units: (u,) int64, the row groups it is made of.
        rows: (n,) int64, its row numbers in the order in which they are trained on.
    """

    first: int
    units: Array
    rows: Array


@dataclass(frozen=True, eq=False)
class Order:
    """The sequence of rows of every epoch.

    Attributes:
        sizes: (U,) int64, the rows of each unit in the order of the corpus; some may be 0.
        seed: of all draws.
        buffer_rows: the most rows that are shuffled together; a larger unit is a window of its own.

    Raises:
        ValueError: if there are no rows, or no room for any.
    """

    sizes: Array
    seed: int
    buffer_rows: int

    def __post_init__(self) -> None:
        if self.buffer_rows < 1 or self.rows < 1:
            raise ValueError(f"an order needs rows and a buffer, got {self.rows} rows and {self.buffer_rows} of buffer")

    @cached_property
    def offsets(self) -> Array:
        """(U + 1,) int64: the first row of each unit, and the number of rows."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.sizes, dtype=np.int64)])

    @property
    def rows(self) -> int:
        return int(np.sum(self.sizes))

    def windows(self, epoch: int, start: int = 0) -> Iterator[Window]:
        """The windows of an epoch, from the one that holds place `start` of its sequence on."""
        units = permutation(len(self.sizes), self.seed, epoch, _UNITS)
        sizes = self.sizes[units]
        begin = first = 0
        while begin < len(units):
            held = np.cumsum(sizes[begin:])
            count = max(int(np.searchsorted(held, self.buffer_rows, side="right")), 1)
            end = first + int(held[count - 1])
            if end > start and end > first:
                yield self._window(epoch, first, units[begin : begin + count])
            begin, first = begin + count, end

    def _window(self, epoch: int, first: int, units: Array) -> Window:
        rows = np.concatenate([np.arange(self.offsets[unit], self.offsets[unit + 1]) for unit in units])
        return Window(first, units, rows[permutation(len(rows), self.seed, epoch, _ROWS, first)])

    def batches(self, epoch: int, size: int, start: int = 0) -> Iterator[Array]:
        """Global batches of an epoch, from number `start` on: (size,) row numbers, the last one maybe fewer."""
        held = np.empty(0, np.int64)
        for window in self.windows(epoch, start * size):
            held = np.concatenate([held, window.rows[max(start * size - window.first, 0) :]])
            while len(held) >= size:
                yield held[:size]
                held = held[size:]
        if len(held):
            yield held


def steps(rows: int, size: int) -> int:
    """How many global batches of `size` an epoch has, the last short one counted."""
    return -(-rows // size)


def share(count: int, worker: int, workers: int) -> range:
    """The contiguous block of `count` micro-batches that a worker takes; blocks differ by one at most."""
    return range(count * worker // workers, count * (worker + 1) // workers)


def taken(first: int, end: int, rows: int, size: int, micro: int, worker: int, workers: int) -> Array:
    """Which places of an epoch's sequence a worker trains on.

    Args:
        first, end: the places asked about.
        rows: of the epoch.
        size, micro: rows of a global batch and of a micro-batch.

    Returns:
        (end - first,) bool.
    """
    places = np.arange(first, end)
    within = np.minimum(rows - places // size * size, size)  # rows of the batch that each place is in
    count = -(-within // micro)
    mine = places % size // micro
    found: Array = (mine >= count * worker // workers) & (mine < count * (worker + 1) // workers)
    return found
