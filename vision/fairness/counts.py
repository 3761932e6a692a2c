"""The state of every audit: exact counts by the values of some columns, sparse, and the same for any sharding.

A `Cube` over (gender, race, truth, prediction) is the table from which every rate, interval and test of an audit
follows. Its size is the number of combinations that occur, never the number of rows: a billion rows of 126 groups and
2 x 2 outcomes are 504 integers. Levels are kept as sorted texts and keys in their order, so that equal counts have
equal bytes whatever the shards were. A bootstrap of it is a multinomial (`vision.intervals.multinomial_bootstrap`).

A million rows of five dictionary-encoded columns take some 10 ms of one core: one `bincount` over combined codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from vision.accumulator import Array, Counts
from vision.fairness.coding import Coded
from vision.grouping import MISSING

OTHER = "(other)"
"""The group of all values that are not among the most frequent ones."""

_TABLE = 2**21  # cells of which a table in memory is cheaper than sorting the rows
_LARGEST = 2**62


@dataclass(frozen=True, eq=False)
class Cube:
    """Counts by the values of `columns`.

    Attributes:
        columns: names, in the order of the key.
        levels: for each column the sorted texts that occur.
        counts: keyed by the place of each value in its levels, in mixed radix; the last column runs fastest.
    """

    columns: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...] = ()
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        if not self.levels:
            object.__setattr__(self, "levels", ((),) * len(self.columns))

    @classmethod
    def of(cls, columns: Mapping[str, Coded], weights: Array | None = None) -> Cube:
        """Count rows.

        Args:
            columns: name to the codes of N rows.
            weights: (N,) int64 that each row stands for; one each without it.

        Raises:
            ValueError: if there are more combinations than integers.
        """
        shape = tuple(len(column.levels) for column in columns.values())
        size = _size(shape, columns)
        keys = _combined([column.codes for column in columns.values()], shape)
        if weights is None and size <= max(_TABLE, 4 * len(keys)):
            table = np.bincount(keys, minlength=size)
            found = np.flatnonzero(table)
            counts = Counts(found, table[found].astype(np.int64))
        else:
            counts = Counts.of(keys, np.ones(len(keys), np.int64) if weights is None else weights)
        return _canonical(tuple(columns), [column.levels for column in columns.values()], counts)

    def merge(self, other: Cube) -> Cube:
        """The counts of both.

        Raises:
            ValueError: if they count other columns.
        """
        if self.columns != other.columns:
            raise ValueError(f"counts of {self.columns} and of {other.columns} do not add up")
        if self.levels != other.levels:
            pairs = zip(self.levels, other.levels, strict=True)
            levels = tuple(a if a == b else tuple(sorted({*a, *b})) for a, b in pairs)
            return self._within(levels).merge(other._within(levels))
        return replace(self, counts=self.counts.merge(other.counts))

    def codes(self) -> Array:
        """(columns, C) int64: the place in its levels of each column's value, cell by cell."""
        shape = [len(levels) for levels in self.levels]
        return (
            np.array(np.unravel_index(self.counts.keys, shape))
            if len(self.counts.keys)
            else np.empty((len(shape), 0), np.int64)
        )

    def over(self, columns: Sequence[str]) -> Cube:
        """The counts by fewer columns, at least one, or by the same in another order."""
        places, codes = [self.place(name) for name in columns], self.codes()
        return Cube.of({self.columns[p]: Coded(codes[p], self.levels[p]) for p in places}, self.counts.counts)

    def place(self, column: str) -> int:
        """Where a column stands.

        Raises:
            ValueError: if it is not counted.
        """
        if column not in self.columns:
            raise ValueError(f"{column!r} was not counted, only {', '.join(self.columns)}")
        return self.columns.index(column)

    def renamed(self, column: str, names: Mapping[str, str]) -> Cube:
        """The same counts with other texts for some values of a column; values of one text become one."""
        place = self.place(column)
        levels = [tuple(names.get(v, v) for v in known) if p == place else known for p, known in enumerate(self.levels)]
        return _canonical(self.columns, levels, self.counts)

    def rare(self, column: str, most: int) -> list[str]:
        """The values of a column that are not among the `most` frequent ones; ties go by the text."""
        place = self.place(column)
        totals = np.zeros(len(self.levels[place]), np.int64)
        np.add.at(totals, self.codes()[place], self.counts.counts)
        known = [(v, t) for v, t in zip(self.levels[place], totals.tolist(), strict=True) if v != MISSING]
        return [value for value, _ in sorted(known, key=lambda pair: (-pair[1], pair[0]))[most:]]

    def total(self) -> int:
        """How many rows were counted."""
        return self.counts.total()

    def check(self, columns: Sequence[str], most: int) -> None:
        """Refuse a column that is no group.

        Raises:
            ValueError: if one of `columns` has more than `most` values.
        """
        for column in columns:
            found = len(self.levels[self.place(column)])
            if found > most:
                raise ValueError(
                    f"column {column} has {found:,} values so far, and one of groups may have {most:,} (max_groups); "
                    "top keeps the most frequent ones and counts the rest as (other)"
                )

    def to_bytes(self) -> bytes:
        """All of it, the same for equal counts."""
        head = repr((self.columns, self.levels)).encode()
        return head + self.counts.keys.astype("<i8").tobytes() + self.counts.counts.astype("<i8").tobytes()

    def _within(self, levels: Sequence[Sequence[str]]) -> Cube:
        """The same counts keyed by more levels, which are sorted and hold ours."""
        shape = tuple(len(known) for known in levels)
        _size(shape, self.columns)
        parts = []
        for own, known, codes in zip(self.levels, levels, self.codes(), strict=True):
            place = {value: index for index, value in enumerate(known)}
            parts.append(np.array([place[value] for value in own], np.int64)[codes] if len(own) else codes)
        # Levels are sorted on both sides, so the order of the keys stays.
        return Cube(
            self.columns, tuple(tuple(known) for known in levels), Counts(_combined(parts, shape), self.counts.counts)
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cube) or (self.columns, self.levels) != (other.columns, other.levels):
            return False
        return self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]


def _size(shape: Sequence[int], columns: Sequence[str] | Mapping[str, Coded]) -> int:
    size = math.prod(max(1, levels) for levels in shape)
    if size >= _LARGEST:
        raise ValueError(f"the columns {', '.join(columns)} have more combinations than can be numbered: {shape}")
    return size


def _combined(codes: Sequence[Array], shape: Sequence[int]) -> Array:
    """(N,) int64 keys in mixed radix."""
    if not codes:
        return np.empty(0, np.int64)
    first = codes[0].astype(np.int64)

    def add(key: Array, part: tuple[Array, int]) -> Array:
        key *= part[1]
        key += part[0]
        return key

    return reduce(add, zip(codes[1:], shape[1:], strict=True), first)


def _canonical(columns: tuple[str, ...], levels: Sequence[Sequence[str]], counts: Counts) -> Cube:
    """Levels that occur, each once and sorted, and keys in that order."""
    shape = [max(1, len(known)) for known in levels]
    codes = np.unravel_index(counts.keys, shape) if len(counts.keys) else [counts.keys] * len(shape)
    kept, parts = [], []
    for known, code in zip(levels, codes, strict=True):
        used = np.unique(code).tolist()
        texts = sorted({known[index] for index in used})
        place = {value: index for index, value in enumerate(texts)}
        table = np.zeros(len(known) + 1, np.int64)
        table[used] = [place[known[index]] for index in used]
        kept.append(tuple(texts))
        parts.append(table[code])
    keys = _combined(parts, [len(texts) for texts in kept])
    return Cube(columns, tuple(kept), Counts.of(keys, counts.counts))
