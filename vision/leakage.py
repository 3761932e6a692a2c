"""Do records of one split have relatives in another? The same person, author, album or recording, by any columns.

A model that was taught with half of somebody's pictures is not tested by the other half. `Values` counts the rows of
each value and split, over any number of shards, as 64-bit digests of values: 16 bytes for each value and split, so a
hundred million authors take 1.6 GB. (Two of them share a digest with a probability of 1 in 2,000; then one of them
seems to be in both splits.) `vision.relatives` says it of two tables, row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Self

import numpy as np

from vision.accumulator import Array, Counts, Estimate, ratio, united
from vision.grouping import MISSING
from vision.intervals import rate, wilson

_NOTHING = Counts()


def digests(texts: Sequence[str]) -> Array:
    """(N,) int64, not negative, of texts."""
    marks = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    found: Array = (np.frombuffer(marks, "<u8") >> np.uint64(1)).astype(np.int64)
    return found


@dataclass(frozen=True)
class Values:
    """How many rows of each split have each value of some columns.

    Attributes:
        counts: (column, split) to rows by the digest of their value.
        missing: (column, split) to rows without a value: nobody knows whom they are related to.
    """

    counts: Mapping[tuple[str, str], Counts] = field(default_factory=dict)
    missing: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def update(self, column: str, split: str, codes: Array, levels: Sequence[str]) -> Self:
        """Add rows of a split: their values of a column, as codes (N,) into texts."""
        seen = np.bincount(codes, minlength=len(levels)).astype(np.int64)
        known = np.array([text != MISSING for text in levels], bool) & (seen > 0)
        kept = np.flatnonzero(known)
        counts = Counts.of(digests([levels[place] for place in kept.tolist()]), seen[kept])
        key = (column, split)
        return self.merge(type(self)({key: counts}, {key: int(seen[~known].sum())}))

    def merge(self, other: Self) -> Self:
        counts, missing = united(self.counts, other.counts), dict(self.missing)
        for key, rows in other.missing.items():
            missing[key] = missing.get(key, 0) + rows
        return replace(self, counts=counts, missing=missing)

    @property
    def splits(self) -> list[str]:
        return sorted({split for _, split in self.counts})

    def shared(self, column: str, split: str, others: Sequence[str] | None = None) -> Array:
        """The digests of the values of a split that others have as well, sorted; of all others by default."""
        own = self.counts.get((column, split), _NOTHING).keys
        asked = [name for name in self.splits if name != split] if others is None else others
        theirs = [self.counts.get((column, other), _NOTHING).keys for other in asked]
        found: Array = own[np.isin(own, np.concatenate(theirs))] if theirs else own[:0]
        return found

    def leaked(self, column: str, splits: Sequence[str], others: Sequence[str] | None = None) -> Leaked:
        """The rows of some splits whose value is also in another split.

        Args:
            others: which others; all by default.
        """
        rows = values = n = squares = hits = 0
        for split in splits:
            own = self.counts.get((column, split), _NOTHING)
            mine = np.isin(own.keys, self.shared(column, split, others))
            hits, rows = hits + int(mine.sum()), rows + int(own.counts[mine].sum())
            values, n = values + len(mine), n + own.total()
            squares += int((own.counts * own.counts).sum())
        return Leaked(rows, n, hits, values, squares, sum(self.missing.get((column, split), 0) for split in splits))


@dataclass(frozen=True)
class Leaked:
    """Rows and values that leak.

    Attributes:
        rows, n: rows that share their value, of how many that have one.
        hits, values: the same of distinct values.
        squares: the sum of squared rows of each value.
        missing: rows without a value.
    """

    rows: int
    n: int
    hits: int
    values: int
    squares: int
    missing: int

    @property
    def share(self) -> Estimate:
        """The share of rows. All rows of a value leak or none does, so they count as n^2 / squares rows only.

        Reference: Kish, "Survey Sampling", 1965 (design effect).
        """
        value, alone = ratio(self.rows, self.n), ratio(self.n**2, self.squares)
        return Estimate(value, *wilson(value * alone, alone), self.n) if self.n else rate(0, 0)
