"""Labels that a model doubts: confident learning, from counts that add up.

A row is confidently of class j if its probability of j is at least the mean probability of j over the rows that are
labelled j; of several such classes the likeliest. Rows labelled i that are confidently of j are counted in the
confident joint C[i, j]; off its diagonal are suspects. With each row of C scaled to the number of rows labelled i, the
share off the diagonal estimates the noise of the labels.

Thresholds are sums and C is a table of counts, so both are the same for any sharding. Of the suspects only the most
doubtful of each class are kept. Probabilities must be out of fold: of a model that has not learnt these labels, for one
that has repeats them.

Reference: Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 2021. Here a
class is chosen among the confident ones, as there; the authors' package takes the likeliest of all where several are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np

from vision.accumulator import Array, Counts, Estimate
from vision.intervals import multinomial_bootstrap

_FIXED = 30  # bits behind the point: sums of 2**33 rows fit
_RADIX = 2**31
_SLACK = 1e-6
NOBODY = _RADIX - 1
"""In place of a class: none is confident."""
UNKNOWN = _RADIX - 2
"""The same where only the best few classes are known, and another might be confident."""


class Scores(NamedTuple):
    """Probabilities of rows.

    Attributes:
        labels: (N, T) int64 classes, each once in a row; -1 for none.
        values: (N, T) float64 their probabilities.
        own: (N,) float64: that of the label which the row has.
        rest: (N,) float64: what a class that is not among them has at most; 0 where all are.
    """

    labels: Array
    values: Array
    own: Array
    rest: Array


def of_all(probabilities: Array, given: Array) -> Scores:
    """Scores of (N, K) probabilities of all classes, for rows labelled `given` (N,).

    Raises:
        ValueError: if they are no probabilities, or a label is no class of theirs.
    """
    p = np.asarray(probabilities, np.float64)
    if not len(p):
        nothing = np.empty(0)
        return Scores(np.empty((0, 1), np.int64), np.empty((0, 1)), nothing, nothing)
    off = np.abs(p.sum(axis=1) - 1)
    if not (p.min() >= 0 and off.max() <= 1e-3):
        raise ValueError(f"probabilities of a row must be 0 or more and add up to 1, got {p[int(off.argmax())][:5]}")
    if given.min() < 0 or given.max() >= p.shape[1]:
        raise ValueError(f"labels must be classes 0 to {p.shape[1] - 1}, got {given.min()} to {given.max()}")
    classes = np.broadcast_to(np.arange(p.shape[1]), p.shape)
    return Scores(classes, p, p[np.arange(len(p)), given], np.zeros(len(p)))


def of_best(labels: Array, values: Array, given: Array, own: Array) -> Scores:
    """Scores where only the best T classes are known, (N, T) best first, and the probability of the label itself."""
    left = np.maximum(0.0, 1 - values.sum(axis=1))
    left[left < 1e-5] = 0.0  # what rounding leaves
    among = (labels == given[:, None]).any(axis=1)
    labels = np.column_stack([labels, np.where(among, -1, given)]).astype(np.int64)
    return Scores(labels, np.column_stack([values, own]), own, np.minimum(values[:, -1], left))


@dataclass(frozen=True)
class Thresholds:
    """For each label the rows that have it, and the sum of their probabilities of it in units of 2**-30."""

    rows: Counts = field(default_factory=Counts)
    sums: Counts = field(default_factory=Counts)

    def update(self, given: Array, scores: Scores) -> Self:
        fixed = np.rint(scores.own * 2.0**_FIXED).astype(np.int64)
        ones = np.ones(len(given), np.int64)
        return self.merge(type(self)(Counts.of(given, ones), Counts.of(given, fixed)))

    def merge(self, other: Self) -> Self:
        return type(self)(self.rows.merge(other.rows), self.sums.merge(other.sums))

    def values(self) -> Array:
        """(K,) float64: the threshold of each class up to the last label; infinite where nobody has it."""
        rows, sums = np.zeros((2, int(self.rows.keys.max(initial=-1)) + 1), np.int64)
        rows[self.rows.keys], sums[self.sums.keys] = self.rows.counts, self.sums.counts
        found: Array = np.where(rows > 0, sums / 2.0**_FIXED / np.maximum(rows, 1), np.inf)
        return found


def guesses(scores: Scores, thresholds: Array) -> tuple[Array, Array]:
    """(N,) int64: the class that each row confidently is of, `NOBODY` or `UNKNOWN`; and (N,) its probability or 0."""
    known = (scores.labels >= 0) & (scores.labels < len(thresholds))
    limits = np.where(known, np.append(thresholds, np.inf)[np.where(known, scores.labels, len(thresholds))], np.inf)
    confident = scores.values >= limits - _SLACK
    best = np.argmax(np.where(confident, scores.values, -1.0), axis=1)
    some, rows = confident.any(axis=1), np.arange(len(best))
    # A class that is not among the best has less than any of them, so it matters only where none of them is confident.
    lost = ~some & (scores.rest >= thresholds.min(initial=np.inf) - _SLACK) & (scores.rest > 0)
    found = np.where(some, scores.labels[rows, best], np.where(lost, UNKNOWN, NOBODY))
    return found, np.where(some, scores.values[rows, best], 0.0)


@dataclass(frozen=True, eq=False)
class Joint:
    """The confident joint, and the most doubtful rows of each label.

    Attributes:
        thresholds: (K,) float64.
        most: suspects that are kept of each label.
        cells: rows by label and confident class.
        doubted: rows whose confident class is another and likelier than the label: the suspects.
        ids, given, likely, own, other: of the kept ones, by label and falling margin (`other - own`), then id.
    """

    thresholds: Array
    most: int = 20
    cells: Counts = field(default_factory=Counts)
    doubted: int = 0
    ids: Array = field(default_factory=lambda: np.empty(0, object))
    given: Array = field(default_factory=lambda: np.empty(0, np.int64))
    likely: Array = field(default_factory=lambda: np.empty(0, np.int64))
    own: Array = field(default_factory=lambda: np.empty(0))
    other: Array = field(default_factory=lambda: np.empty(0))

    def update(self, ids: Array, given: Array, scores: Scores) -> Self:
        found, value = guesses(scores, self.thresholds)
        cells = Counts.of(given * _RADIX + found, np.ones(len(given), np.int64))
        doubted = np.flatnonzero((found < UNKNOWN) & (found != given) & (value > scores.own))
        rows = [ids[doubted], given[doubted], found[doubted], scores.own[doubted], value[doubted]]
        return self.merge(type(self)(self.thresholds, self.most, cells, len(doubted), *rows))

    def merge(self, other: Self) -> Self:
        names = ("ids", "given", "likely", "own", "other")
        parts: dict[str, Any] = {n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in names}
        order = np.lexsort((parts["ids"].astype(str), parts["own"] - parts["other"], parts["given"]))
        labels = parts["given"][order]
        rank = np.arange(len(order)) - np.searchsorted(labels, labels)
        parts = {name: values[order[rank < self.most]] for name, values in parts.items()}
        cells, doubted = self.cells.merge(other.cells), self.doubted + other.doubted
        return replace(self, cells=cells, doubted=doubted, **parts)

    @property
    def n(self) -> int:
        """Rows that were looked at."""
        return self.cells.total()

    def pairs(self) -> list[tuple[int, int, int]]:
        """(label, confident class, rows) off the diagonal, most rows first."""
        cells = [(key // _RADIX, key % _RADIX, rows) for key, rows in self._cells()]
        off = [cell for cell in cells if cell[1] < UNKNOWN and cell[0] != cell[1]]
        return sorted(off, key=lambda cell: (-cell[2], cell[0], cell[1]))

    def rows(self) -> dict[int, int]:
        """How many rows have each label."""
        found: dict[int, int] = {}
        for key, rows in self._cells():
            found[key // _RADIX] = found.get(key // _RADIX, 0) + rows
        return found

    @property
    def unknown(self) -> int:
        """Rows of which too few probabilities are known."""
        return sum(rows for key, rows in self._cells() if key % _RADIX == UNKNOWN)

    def noise(self) -> Estimate:
        """The estimated share of wrong labels, with a bootstrap interval; nan where no row is confidently anything."""
        labels = sorted({key // _RADIX for key, _ in self._cells()})
        table = np.zeros((len(labels), 3), np.int64)  # confidently the label, another, nobody knows
        place = {label: row for row, label in enumerate(labels)}
        for key, rows in self._cells():
            label, found = key // _RADIX, key % _RADIX
            table[place[label], 0 if found == label else 1 if found < UNKNOWN else 2] += rows
        counts = table.reshape(-1)
        if not table[:, :2].any():
            return Estimate(math.nan, math.nan, math.nan, self.n)
        low, high = multinomial_bootstrap(counts, _off_diagonal)
        value = float(_off_diagonal(counts[None])[0])
        return Estimate(value, max(0.0, float(low)), min(1.0, float(high)), self.n)

    def _cells(self) -> list[tuple[int, int]]:
        return list(zip(self.cells.keys.tolist(), self.cells.counts.tolist(), strict=True))


def _off_diagonal(counts: Array) -> Array:
    """(B,) shares off the diagonal of (B, 3 K) counts, each label scaled to all of its rows."""
    table = counts.reshape(len(counts), -1, 3).astype(np.float64)
    sure, rows = table[..., 0] + table[..., 1], table.sum(axis=2)
    rows = np.where(sure > 0, rows, 0.0)  # of a label without a confident row nothing is known
    wrong = rows * table[..., 1] / np.maximum(sure, 1.0)
    found: Array = wrong.sum(axis=1) / np.maximum(rows.sum(axis=1), 1.0)
    return found
