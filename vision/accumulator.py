"""The one shape that sums over shards: a state with a zero, `update`, `merge` and `compute`.

The constructor is the zero. States are values, so a retried task cannot count twice; they hold integers (counts,
or sums in fixed point), so any split and order of the batches merges to the same bits. Division happens once, in
`compute`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, NamedTuple, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vision.grouping import rows_by_values

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


def plotted(table: pa.Table, **plot: object) -> pa.Table:
    """`table` with a note on how it is best seen, kept as JSON under `plot` in its schema's metadata.

    The report page draws kinds, and knows no room: `reliability` has a row for each bin of the score, from low to
    high, with n, mean_score and accuracy; `bars` has a bar of the column `value` for each row, called by `label`;
    `curve` is a line of the column `y` over `x`, in a band from the column `low` to `high`; `lines` has such a line for
    each combination of the columns `series`, y as its logarithm where `logarithmic`, and x where `stretched`.
    `ranked` has intervals one below the other, a picture for each value of the column `panel` (rankings.py in jobs has
    the columns), and `matrix` a map of numbers for each (matrices.py). `map` has cells of the globe or lines over it
    (`vision.geolocation.drawn`), `heat` what each part of a picture is worth (`vision.mapping`). What shows one record
    only says its id as `of`, so that it can be forgotten.
    """
    return table.replace_schema_metadata({b"plot": json.dumps(plot).encode()})


def ratio(part: int, whole: int) -> float:
    """`part / whole`, and nan where nothing was seen."""
    return part / whole if whole else math.nan


def weights(batch: Batch) -> Array:
    """(N,) int64: how many answers each row stands for; the column `count`, or one each without it."""
    if "count" in batch:
        return np.asarray(batch["count"], np.int64)
    return np.ones(len(next(iter(batch.values()), ())), np.int64)


def fixed_sum(values: Array, counts: Array) -> int:
    """Sum of `values * counts` in fixed point, as an integer of 2**-32 units: exact, so order does not matter.

    Args:
        values: (N,) finite floats below 2**30 in size.
        counts: (N,) int64 weights, not negative.

    Raises:
        ValueError: if a value is nan, infinite or too large: it would become a plausible number.
    """
    scaled = np.rint(np.asarray(values, np.float64) * 2.0**FIXED_BITS)
    wrong = ~(np.abs(scaled) < 2.0**62)
    if wrong.any():
        raise ValueError(f"values to sum must be finite and below 2**30, got {np.asarray(values)[wrong][0]}")
    return _weighted_sum(scaled.astype(np.int64), np.asarray(counts, np.int64))


def _weighted_sum(values: Array, counts: Array) -> int:
    """Sum of `values * counts` as a Python integer, in slices of bits so narrow that no partial sum overflows."""
    width = max(1, 62 - int(counts.sum()).bit_length())
    total = 0
    for shift in range(0, 64, width):
        bits = values >> shift
        if shift + width < 64:  # the topmost slice keeps the sign
            bits = bits & ((1 << width) - 1)
        total += int((bits * counts).sum()) << shift
    return total


def from_fixed(total: int) -> float:
    """A fixed-point sum as a float."""
    return total / (1 << FIXED_BITS)


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
        keys, weights = np.asarray(keys, np.int64), np.asarray(weights, np.int64)
        if len(keys) and keys.min() >= 0 and keys.max() < 4 * len(keys) + 1024:
            sums = _sum_by(keys, weights, int(keys.max()) + 1)  # a table is cheaper than sorting
            unique = np.arange(len(sums))
        else:
            unique, inverse = np.unique(keys, return_inverse=True)
            sums = _sum_by(inverse, weights, len(unique))
        kept = sums != 0
        return cls(unique[kept], sums[kept])

    def merge(self, other: Counts) -> Counts:
        small, large = sorted((self, other), key=lambda part: len(part.keys))
        if not len(small.keys):
            return large
        # A shard's few keys go into a large sum without sorting that again.
        places = np.searchsorted(large.keys, small.keys)
        known = large.keys[np.minimum(places, len(large.keys) - 1)] == small.keys
        counts = large.counts.copy()
        counts[places[known]] += small.counts[known]
        new = places[~known]
        return Counts(np.insert(large.keys, new, small.keys[~known]), np.insert(counts, new, small.counts[~known]))

    def total(self) -> int:
        return int(self.counts.sum())

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Counts)
            and np.array_equal(self.keys, other.keys)
            and np.array_equal(self.counts, other.counts)
        )

    __hash__ = None  # type: ignore[assignment]


def _sum_by(codes: Array, weights: Array, size: int) -> Array:
    """(size,) int64 sums of `weights` by code, exact."""
    if not len(codes) or (weights == 1).all():
        return np.bincount(codes, minlength=size).astype(np.int64)
    if int(np.abs(weights).max()) * len(weights) < 2**53:  # float sums are exact that far, and fast
        return np.bincount(codes, weights, size).astype(np.int64)
    sums = np.zeros(size, np.int64)
    np.add.at(sums, codes, weights)
    return sums


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


class Merging(Protocol):
    """What adds up."""

    def merge(self, other: Self, /) -> Self: ...


K = TypeVar("K")
M = TypeVar("M", bound=Merging)


def united(one: Mapping[K, M], other: Mapping[K, M]) -> dict[K, M]:
    """States by name of two parts as one; those that both have are merged."""
    return {**one, **{name: one[name].merge(state) if name in one else state for name, state in other.items()}}


Cell = tuple[tuple[str, str], ...]
"""A group: ((column, value), ...), for example (("gender", "f"), ("skin", "dark"))."""


@dataclass(frozen=True)
class ByGroup:
    """Any state broken down by columns: a state for each value of each column, and of each combination to `order`.

    A missing value is the group "(none)", so that the groups of one column add up to the whole. Grouping costs 0.2 s
    for a million rows by a column of strings; the states cost what they cost on the whole, and a call each group.
    """

    zero: Accumulator
    by: tuple[str, ...]
    order: int = 1
    cells: Mapping[Cell, Accumulator] = field(default_factory=dict)

    def update(self, batch: Batch) -> Self:
        cells = dict(self.cells)
        for columns in self._combinations():
            for cell, rows in rows_by_values(batch, columns):
                part = {name: values[rows] for name, values in batch.items()}
                cells[cell] = cells.get(cell, self.zero).update(part)
        return replace(self, cells=cells)

    def merge(self, other: Self) -> Self:
        return replace(self, cells=united(self.cells, other.cells))

    def compute(self) -> dict[str, Estimate]:
        """Every cell's metrics, named `metric[column=value,...]`."""
        return {
            f"{name}[{','.join('='.join(pair) for pair in cell)}]": value
            for cell, state in self.groups()
            for name, value in state.compute().items()
        }

    def groups(self) -> list[tuple[Cell, Accumulator]]:
        """The cells in a fixed order: by columns as asked for, then by value, 9 before 10."""
        place = {columns: index for index, columns in enumerate(self._combinations())}
        return sorted(
            self.cells.items(),
            key=lambda item: (place[tuple(c for c, _ in item[0])], [_natural(value) for _, value in item[0]]),
        )

    def _combinations(self) -> list[tuple[str, ...]]:
        return [c for size in range(1, self.order + 1) for c in combinations(self.by, size)]


def _natural(value: str) -> tuple[bool, float, str]:
    return (False, float(value), value) if value.removeprefix("-").isdecimal() else (True, 0.0, value)
