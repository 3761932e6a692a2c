"""Answers beside the truth, from wherever they are: a predictions folder with its corpus, or a table of one's own.

`tables` gives Arrow tables and `batches` the columns that metrics take: truth and groups under their own names,
answers with the prefix `predicted_`, `answered`, and `count` (how many answers a row stands for). Missing integers
are -1, missing floats nan, missing texts None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage, tables
from jobs.engine import commit
from jobs.reading import PREDICTED, Reading, beside, pieces, prediction_shard
from jobs.records import SUBSET
from jobs.spec import JobFailed, SpecError, nearest
from vision.accumulator import Array, Batch
from vision.corpus import Corpus

ROLES = (
    "id", "truth", "prediction", "score", "count", "latitude", "longitude", "predicted_latitude", "predicted_longitude",
)  # fmt: skip
_COLUMN_OF = {"truth": "label", "prediction": PREDICTED + "label", "score": PREDICTED + "score"}
_PLACES = ("latitude", "longitude", "predicted_latitude", "predicted_longitude")


@dataclass(frozen=True)
class Answers:
    """What was answered, beside what is true.

    Attributes:
        output: the predictions folder or the table.
        corpus: what is known of the records: classes, and all else where there is a corpus.
        tags: digests of all that made it.
        reading: the records, where there is a corpus.
        table: the aligned table, where there is none.
        shards: the corpus' shards that have answers.
        partial: whether they answer a subset of each shard.
        marks: columns that came later, by `id`, one row each.
    """

    output: str
    corpus: Corpus
    tags: Mapping[str, str] = field(default_factory=dict)
    reading: Reading | None = None
    table: pa.Table | None = None
    shards: tuple[str, ...] = ()
    partial: bool = False
    marks: pa.Table | None = None

    @classmethod
    def of(cls, output: str, reading: Reading) -> Answers:
        """The answers in a finished predictions folder.

        Raises:
            JobFailed: if it is not complete.
            SpecError: if it answers another corpus or split.
        """
        manifest = commit.read_manifest(output)
        identity = manifest["identity"]
        if not manifest["complete"]:
            raise JobFailed(f"{output} is not complete: run the same predict again to finish it")
        if identity["split"] != reading.split:
            raise SpecError(f"{output} answers the split {identity['split']}, not {reading.split}")
        tags = {
            "corpus": reading.url,
            "corpus_version": str(reading.corpus.version),
            "corpus_digest": reading.corpus.digest,
            "split": reading.split,
            "model_digest": identity["model"],
            "kernel": identity["kernel"],
            "subset": commit.digest({name: identity[name] for name in SUBSET if name in identity}),
        }
        known = {shard.file for shard in reading.corpus.present(reading.split)}
        shards = tuple(sorted(known & set(manifest["shards"])))
        partial = any(name in identity for name in SUBSET)
        classes = reading.corpus.classes or (tuple(manifest["classes"]) if manifest["classes"] else None)
        corpus = replace(reading.corpus, classes=classes)
        return cls(output, corpus, tags, reading, shards=shards, partial=partial)

    def piece(self, file: str) -> pa.Table:
        """The aligned rows of one shard."""
        assert self.reading is not None
        answers = prediction_shard(self.output, file)
        return beside(self.reading.small(file), answers, partial=self.partial, where=f"{self.output}/{file}")

    def tables(self) -> Iterator[pa.Table]:
        """Aligned rows, a table for each shard or run of rows."""
        if self.table is not None:
            yield from map(self._marked, pieces(self.table))
        yield from (self._marked(self.piece(file)) for file in self.shards)

    def _marked(self, table: pa.Table) -> pa.Table:
        """Rows with what came later beside them, in place of columns of the same name."""
        if self.marks is None:
            return table
        places = pc.index_in(table["id"], value_set=self.marks["id"].combine_chunks())
        late = self.marks.drop_columns(["id"]).take(places)
        table = table.drop_columns([name for name in late.column_names if name in table.column_names])
        return pa.table({name: one[name] for one in (table, late) for name in one.column_names})

    def batches(self) -> Iterator[Batch]:
        """The same as columns for metrics."""
        for table in self.tables():
            for piece in pieces(table):
                yield batch_of(piece)

    def check_scorable(self, task: str, needs: tuple[str, ...]) -> None:
        """Refuse answers that lack what the metrics of a task are made of."""
        first = next(self.tables(), None)
        if first is None:
            return
        for name in needs:
            if name not in first.column_names:
                what = f"there is no column {name} (it has {', '.join(first.column_names)})"
                raise SpecError(f"{self.output} cannot be scored for {task}: {what}")

    def check_columns(self, names: tuple[str, ...], field_name: str) -> None:
        """Refuse columns to break down by that are not there."""
        first = next(self.tables(), None)
        for name in names:
            if first is not None and name not in first.column_names:
                known = [n for n in first.column_names if not n.startswith(PREDICTED)]
                raise SpecError(f"{field_name}: no column {name!r}{nearest(name, known)}")


def from_table(url: str, columns: tuple[str, ...]) -> Answers:
    """The answers in a CSV, TSV or Parquet file; `columns` are `role=name`.

    Raises:
        SpecError: if a role or column is unknown, or neither truth and prediction nor the four of places are named.
    """
    table = tables.read(url)
    roles = _roles(columns, table.column_names)
    placed = any(role in roles for role in _PLACES)
    missing = [role for role in (_PLACES if placed else ("truth", "prediction")) if role not in roles]
    if missing:
        raise SpecError(f"columns: {missing[0]}=NAME is needed; the table has {', '.join(table.column_names)}")
    for role, name in roles.items():
        wanted = _COLUMN_OF.get(role, role)
        if wanted != name and wanted in table.column_names:
            table = table.rename_columns([f"source_{n}" if n == wanted else n for n in table.column_names])
        table = table.rename_columns([wanted if n == name else n for n in table.column_names])
    table, classes = _coded(_in_degrees(table) if placed else table)
    named = _PLACES[2:] if placed else (PREDICTED + "label",)
    if "answered" in table.column_names:
        table = table.rename_columns(["source_answered" if n == "answered" else n for n in table.column_names])
    table = table.append_column("answered", reduce(pc.and_, (table[name].is_valid() for name in named)))
    if "id" not in table.column_names:
        table = table.append_column("id", pa.array([str(n) for n in range(len(table))]))
    place = storage.absolute(url)
    return Answers(place, Corpus(name=place, classes=classes), {"table": place}, table=table)


def _roles(columns: tuple[str, ...], known: list[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for pair in columns:
        role, _, name = pair.partition("=")
        if role not in ROLES:
            raise SpecError(f"columns: no role {role!r}{nearest(role, list(ROLES))} (roles: {', '.join(ROLES)})")
        if name not in known:
            raise SpecError(f"columns: the table has no column {name!r}{nearest(name, known)}")
        if name in roles.values():
            raise SpecError(f"columns: {name} cannot be {role} and something else too")
        roles[role] = name
    return roles


def _in_degrees(table: pa.Table) -> pa.Table:
    """The four columns of places as float64, null where nothing stands; a whole number is one of degrees too.

    Raises:
        SpecError: if one holds something else.
    """
    for name in _PLACES:
        kind = table[name].type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
            raise SpecError(f"columns: {name} holds {kind} and not numbers of degrees")
        degrees = table[name].cast(pa.float64())
        table = table.set_column(table.column_names.index(name), name, degrees)
    return table


def _coded(table: pa.Table) -> tuple[pa.Table, tuple[str, ...] | None]:
    """Labels that are texts become indices into their sorted names."""
    names = [n for n in ("label", PREDICTED + "label") if n in table.column_names]
    if all(pa.types.is_integer(table[name].type) for name in names):
        return table, None
    texts = {name: table[name].cast(pa.string()) for name in names}
    seen = {value for column in texts.values() for value in pc.unique(column).to_pylist() if value is not None}
    classes = tuple(sorted(seen))
    for name, column in texts.items():
        coded = pc.index_in(column, value_set=pa.array(classes, pa.string()))
        table = table.set_column(table.column_names.index(name), name, coded)
    return table, classes


def batch_of(table: pa.Table) -> Batch:
    """A table as columns for metrics."""
    columns = {name: as_array(table[name], coded=_is_coded(name)) for name in table.column_names}
    columns.setdefault("count", np.ones(len(table), np.int64))
    return columns


def _is_coded(name: str) -> bool:
    """Whether a column is one that metrics take, where a missing integer is -1; in a group's column it is None."""
    return name in ("label", "count") or name.startswith(PREDICTED)


def as_array(column: pa.ChunkedArray, *, coded: bool = True) -> Array:
    """(N,) numbers, (N, k) for lists of one length, (N,) objects for the rest; `coded` fills missing integers."""
    kind = column.type
    if pa.types.is_boolean(kind) and column.null_count == 0:
        return np.asarray(column.to_numpy(), bool)
    if pa.types.is_integer(kind) and (coded or column.null_count == 0):
        return np.asarray(column.fill_null(-1).to_numpy(), np.int64)
    if pa.types.is_floating(kind):
        return np.asarray(column.to_numpy(), np.float64)
    if pa.types.is_list(kind) and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)):
        return _matrix(column)
    return np.array([*column.to_pylist(), None], object)[:-1]


def _matrix(column: pa.ChunkedArray) -> Array:
    lengths = pc.unique(pc.list_value_length(column).drop_null()).to_pylist()
    integers = pa.types.is_integer(column.type.value_type)
    if len(lengths) > 1:
        return np.array([*column.to_pylist(), None], object)[:-1]
    width = lengths[0] if lengths else 0
    kind, missing = (np.int64, -1) if integers else (np.float64, np.nan)
    filled = np.full((len(column), width), missing, kind)
    valid = np.asarray(column.is_valid().to_numpy(), bool)
    numbers = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    filled[valid] = numbers.reshape(int(valid.sum()), width)
    return filled


def recorded(fields: Mapping[str, Any], output: str) -> Answers:
    """The answers of an earlier run, from the fields and the output that it recorded.

    Corpus and version are those that the predictions themselves name.
    """
    from jobs.evaluate import Evaluate

    if fields.get("table"):
        columns = fields.get("columns") or ()
        return from_table(output, tuple(columns.split(",")) if isinstance(columns, str) else tuple(columns))
    wanted = ("where", "limit", "sample", "seed", "stratify", "join", "on", "split")
    given = {name: fields[name] for name in wanted if fields.get(name) not in (None, "")}
    job: Evaluate = Evaluate.parse({**given, "predictions": output})
    return job.answers()
