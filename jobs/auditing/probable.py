"""Rows with labels and probabilities: of a corpus beside predictions, or of a table.

Predictions made with `--keep-logits` have all probabilities; otherwise the best five and that of the label are known,
which is enough wherever one of the five is confident. A table has them in a list column, which the role
`probabilities` names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from jobs.answers import as_array
from jobs.auditing.source import Columns, Files, Shards, Source
from jobs.reading import PREDICTED, beside, pieces, prediction_shard
from jobs.spec import SpecError
from vision.accumulator import Array
from vision.fairness.confident import Scores, of_all, of_best
from vision.softmax import log_softmax

LOGITS, TOP, VALUES, OWN = (PREDICTED + name for name in ("logits", "top_labels", "top_scores", "truth_log_score"))
ROWS = 8192
"""Rows whose probabilities are in memory at once: 66 MB of 1,000 classes."""


@dataclass(frozen=True)
class Probable:
    """Answers with their probabilities: rows of a corpus beside predictions, as a source."""

    shards: Shards

    @property
    def parts(self) -> tuple[str, ...]:
        return self.shards.parts

    @property
    def rows(self) -> int:
        return self.shards.rows

    def names(self) -> list[str]:
        return list(self._whole(self.parts[0]).column_names) if self.parts else []

    def tables(self, part: str, columns: Columns) -> Iterator[pa.Table]:
        yield from pieces(self._whole(part).select(columns.needed), ROWS)

    def _whole(self, part: str) -> pa.Table:
        answers = self.shards.answers
        assert answers is not None
        predicted = prediction_shard(answers.output, part, heavy=True)
        where = f"{answers.output}/{part}"
        return beside(self.shards.reading.small(part), predicted, partial=answers.partial, where=where)


@dataclass(frozen=True)
class Asked:
    """Where ids, labels and probabilities are: of all classes (as logits or not), or `TOP`, `VALUES` and `OWN`."""

    id: str | None
    truth: str
    all: str | None = None
    most: int = 20

    @property
    def columns(self) -> Columns:
        named = (self.id, self.truth, *((self.all,) if self.all else (TOP, VALUES, OWN)))
        return Columns(tuple(name for name in named if name))

    def scored(self, table: pa.Table) -> tuple[Array, Array, Scores]:
        """Ids, labels and scores of the rows that have all of them."""
        needed = [name for name in self.columns.by if name != self.id]
        self._check(table)
        good = np.logical_and.reduce([np.asarray(table[name].is_valid().to_numpy(), bool) for name in needed])
        labels = np.asarray(table[self.truth].fill_null(-1).to_numpy(), np.int64)
        table = table.filter(pa.array(good & (labels >= 0)))
        given = np.asarray(table[self.truth].to_numpy(), np.int64)
        ids = table[self.id].cast(pa.string()).to_pylist() if self.id else [""] * len(table)
        return np.array([*ids, None], object)[:-1], given, self._scores(table, given)

    def _check(self, table: pa.Table) -> None:
        truth, numbers = table[self.truth].type, table[self.all or VALUES].type
        if not pa.types.is_integer(truth):
            raise SpecError(f"columns: {self.truth} holds {truth} and no numbers of classes")
        if not any(check(numbers) for check in (pa.types.is_list, pa.types.is_fixed_size_list, pa.types.is_large_list)):
            raise SpecError(f"columns: {self.all} holds {numbers} and no lists of probabilities")

    def _scores(self, table: pa.Table, given: Array) -> Scores:
        if self.all is None:
            own = np.exp(np.asarray(table[OWN].to_numpy(), np.float64))
            values = _matrix(table[VALUES]).astype(np.float64)
            return of_best(_matrix(table[TOP]), values, given, own)
        numbers = _matrix(table[self.all]).astype(np.float64)
        return of_all(np.exp(log_softmax(numbers)) if self.all == LOGITS and len(numbers) else numbers, given)


def _matrix(column: pa.ChunkedArray) -> Array:
    """(N, T) numbers of a list column.

    Raises:
        ValueError: if its lists are of several lengths.
    """
    if pa.types.is_fixed_size_list(column.type) or pa.types.is_large_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    found = as_array(column)
    if found.ndim != 2:
        raise ValueError("probabilities must be lists of numbers of one length")
    return found if len(found) else np.empty((0, 1))


def asked(source: Source, columns: Columns, most: int) -> tuple[Source, Asked]:
    """Where the probabilities are.

    Raises:
        SpecError: if there are none, or labels that came later have none.
    """
    if isinstance(source, Files):
        if columns.truth is None or columns.probabilities is None:
            raise SpecError("checks: labels in a table needs --columns truth=NAME,probabilities=NAME (a list column)")
        return source, Asked(columns.id, columns.truth, columns.probabilities, most)
    if not isinstance(source, Shards) or source.answers is None:
        raise SpecError("checks: labels needs answers with probabilities: give --predictions")
    found = Probable(source)
    names = found.names()
    if "label" not in names:
        raise SpecError(f"checks: {source.reading.url} has no labels that could be wrong")
    if LOGITS in names:
        return found, Asked("id", "label", LOGITS, most)
    if not {TOP, VALUES, OWN} <= set(names):
        raise SpecError(f"checks: {source.answers.output} has no probabilities: predict again with --keep-logits")
    joined = source.reading.selection.joined
    if joined is not None and "label" in joined.column_names:
        raise SpecError("checks: labels that are joined need all probabilities: predict again with --keep-logits")
    return found, Asked("id", "label", None, most)
