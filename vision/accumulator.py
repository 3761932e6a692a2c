"""The one shape that sums over shards: a state with a zero, `update`, `merge` and `compute`.

The constructor is the zero. States are values, so a retried task cannot count twice; they hold integers (counts,
or sums in fixed point), so any split and order of the batches merges to the same bits. Division happens once, in
`compute`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
"""Columns of equal length, by name. `count` (int64) says how many answers a row stands for, normally one."""

FIXED_BITS = 32


class Estimate(NamedTuple):
    """A number with its uncertainty: `value` in `low`..`high` (95 %), from `n` observations; nan where n is 0."""

    value: float
    low: float
    high: float
    n: int


@runtime_checkable
class Accumulator(Protocol):
    """What every metric is. `merge` is associative and commutative, and equal states have equal bits."""

    def update(self, batch: Batch) -> Self: ...

    def merge(self, other: Self) -> Self: ...

    def compute(self) -> dict[str, Estimate]: ...


@runtime_checkable
class Tabled(Protocol):
    """A state that also has something to show by the row: a confusion matrix, a reliability diagram."""

    def tables(self) -> dict[str, pa.Table]: ...


def ratio(part: int, whole: int) -> float:
    """`part / whole`, and nan where nothing was seen."""
    return part / whole if whole else math.nan


def fixed_sum(values: Array, counts: Array) -> int:
    """Sum of `values * counts` in fixed point, as an integer of 2**-32 units: exact, so order does not matter.

    Args:
        values: (N,) finite floats below 2**20 in size.
        counts: (N,) int64 weights.
    """
    scaled = np.rint(np.asarray(values, np.float64) * 2.0**FIXED_BITS).astype(np.int64)
    # Python integers do not overflow: the high and low halves are summed apart and put together once.
    high, low = scaled >> FIXED_BITS, scaled & (2**FIXED_BITS - 1)
    return (int((high * counts).sum()) << FIXED_BITS) + int((low * counts).sum())


def from_fixed(total: int) -> float:
    """A fixed-point sum as a float."""
    return total / 2**FIXED_BITS


@dataclass(frozen=True, eq=False)
class Counts:
    """Sparse exact counts: sorted int64 keys, each with an int64 count above zero. Merge adds.

    A confusion matrix of K classes is keyed `truth * K + prediction` and costs as many entries as pairs occur.
    """

    keys: Array = field(default_factory=lambda: np.empty(0, np.int64))
    counts: Array = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, keys: Array, weights: Array) -> Counts:
        """Counts of `keys` (N,) int64, each weighing `weights` (N,) int64."""
        unique, inverse = np.unique(np.asarray(keys, np.int64), return_inverse=True)
        sums = np.zeros(len(unique), np.int64)
        np.add.at(sums, inverse, np.asarray(weights, np.int64))
        kept = sums != 0
        return cls(unique[kept], sums[kept])

    def merge(self, other: Counts) -> Counts:
        keys = np.concatenate([self.keys, other.keys])
        return Counts.of(keys, np.concatenate([self.counts, other.counts]))

    def total(self) -> int:
        return int(self.counts.sum())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Counts)
            and np.array_equal(self.keys, other.keys)
            and np.array_equal(self.counts, other.counts)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Suite:
    """Several states as one: a room's metrics, updated with the same batches."""

    states: tuple[Accumulator, ...]

    def update(self, batch: Batch) -> Suite:
        return Suite(tuple(state.update(batch) for state in self.states))

    def merge(self, other: Suite) -> Suite:
        return Suite(tuple(a.merge(b) for a, b in zip(self.states, other.states, strict=True)))

    def compute(self) -> dict[str, Estimate]:
        return {name: value for state in self.states for name, value in state.compute().items()}

    def tables(self) -> dict[str, pa.Table]:
        tabled = [state for state in self.states if isinstance(state, Tabled)]
        return {name: table for state in tabled for name, table in state.tables().items()}


Cell = tuple[tuple[str, str], ...]
"""A group: ((column, value), ...), for example (("gender", "f"), ("skin", "dark"))."""


@dataclass(frozen=True)
class ByGroup:
    """Any state broken down by columns: a state for each value of each column, and of each combination to `order`.

    A missing value is the group "(none)", so that the groups of one column add up to the whole.
    """

    zero: Accumulator
    by: tuple[str, ...]
    order: int = 1
    cells: Mapping[Cell, Accumulator] = field(default_factory=dict)

    def update(self, batch: Batch) -> Self:
        cells = dict(self.cells)
        for columns in self._combinations():
            for cell, rows in _rows_by_cell(batch, columns):
                part = {name: values[rows] for name, values in batch.items()}
                cells[cell] = cells.get(cell, self.zero).update(part)
        return replace(self, cells=cells)

    def merge(self, other: Self) -> Self:
        cells = dict(self.cells)
        for cell, state in other.cells.items():
            cells[cell] = cells[cell].merge(state) if cell in cells else state
        return replace(self, cells=cells)

    def compute(self) -> dict[str, Estimate]:
        """Every cell's metrics, named `metric[column=value,...]`."""
        return {
            f"{name}[{','.join('='.join(pair) for pair in cell)}]": value
            for cell, state in self.groups()
            for name, value in state.compute().items()
        }

    def groups(self) -> list[tuple[Cell, Accumulator]]:
        """The cells in a fixed order: by columns as asked for, then by value."""
        place = {columns: index for index, columns in enumerate(self._combinations())}
        return sorted(
            self.cells.items(),
            key=lambda item: (place[tuple(name for name, _ in item[0])], [value for _, value in item[0]]),
        )

    def _combinations(self) -> list[tuple[str, ...]]:
        return [c for size in range(1, self.order + 1) for c in combinations(self.by, size)]


def _rows_by_cell(batch: Batch, columns: Sequence[str]) -> list[tuple[Cell, Array]]:
    """The row numbers of each combination of values that occurs in `batch`."""
    texts = [np.array(["(none)" if v is None else str(v) for v in batch[name]], object) for name in columns]
    rows: dict[Cell, list[int]] = {}
    for index, values in enumerate(zip(*texts, strict=True)):
        rows.setdefault(tuple(zip(columns, values, strict=True)), []).append(index)
    return [(cell, np.array(indices)) for cell, indices in rows.items()]
