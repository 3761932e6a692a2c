"""Records chosen, and answers read back beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.engine.selection import ROW, Selection, small_columns
from jobs.records import Reads
from jobs.shards import opened
from jobs.spec import JobFailed
from vision.corpus import Corpus

HEAVY = ("logits", "embedding")
"""Answer columns that no metric of counts and sums needs."""

PREDICTED = "predicted_"


@dataclass(frozen=True)
class Reading:
    """Records chosen: a corpus at a version, a split, and the rows of it."""

    url: str
    corpus: Corpus
    split: str
    subset: Reads
    selection: Selection

    def small(self, file: str) -> pa.Table:
        """The chosen rows of a shard, without pixels and with what was joined."""
        with opened(self.url, file) as shard:
            return self.selection.rows(small_columns(shard), file).drop_columns([ROW])


def beside(truth: pa.Table, answers: pa.Table, *, partial: bool, where: str) -> pa.Table:
    """Answers beside their records, by id: answer columns get the prefix `predicted_`, and `answered` says if one is.

    Args:
        truth: chosen records.
        answers: a prediction shard.
        partial: whether the answers may lack records, because they were made for a subset.
        where: what is read, for the error.

    Raises:
        JobFailed: if records have no answer though all should have one.
    """
    if not truth["id"].equals(answers["id"]):
        places = pc.index_in(truth["id"], value_set=answers["id"].combine_chunks())
        found = pc.is_valid(places)
        lost = len(truth) - (pc.sum(found).as_py() or 0)  # of no rows there is no sum
        if lost and not partial:
            raise JobFailed(f"{where}: {lost} records have no row in the predictions")
        truth = truth.filter(found)
        answers = answers.take(places.filter(found))
    columns: dict[str, Any] = {name: truth[name] for name in truth.column_names}
    columns |= {PREDICTED + name: answers[name] for name in answers.column_names if name not in ("id", "error")}
    columns["answered"] = answers["error"].is_null()
    return pa.table(columns)


def prediction_shard(output: str, file: str, heavy: bool = False) -> pa.Table:
    """One file of a predictions folder.

    Raises:
        JobFailed: if it is missing.
    """
    filesystem, path = storage.locate(storage.join(output, file))
    try:
        with filesystem.open_input_file(path) as stream:
            shard = pq.ParquetFile(stream)
            wanted = [name for name in shard.schema_arrow.names if heavy or name not in HEAVY]
            return shard.read(columns=wanted)
    except FileNotFoundError:
        raise JobFailed(f"{output}/{file} is missing: run the same predict again to make it") from None


def pieces(table: pa.Table, rows: int = 65536) -> Iterator[pa.Table]:
    """A table in runs of rows."""
    for start in range(0, len(table), rows):
        yield table.slice(start, rows)
