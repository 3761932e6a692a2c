"""A subset resolved: what a worker needs to pick its rows from a shard, without knowing the other shards.

`where` is decided row by row. A sample of N keeps the rows whose id hashes lowest: one pass over the ids finds the
highest hash that is kept (for each stratum), and a worker compares. A limit becomes a number of rows for each shard.
The driver holds N hashes at most, never the rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import tables
from jobs.records import Reads
from jobs.shards import opened
from jobs.spec import SpecError, nearest
from vision.accumulator import Array
from vision.corpus import Corpus, Shard

ROW = "__row"
PIXELS = ("image", "uri", "bytes", "etag")
"""Columns that hold or point at pixels; everything else is small."""


@dataclass(frozen=True)
class Selection:
    """Which rows of any shard are read, and the columns that are joined to them."""

    where: str | None = None
    seed: int = 0
    stratify: str | None = None
    on: str = "id"
    joined: pa.Table | None = None
    cutoffs: Mapping[str, int] | None = None
    limits: Mapping[str, int] | None = None

    def rows(self, shard: pa.Table, file: str) -> pa.Table:
        """The selected rows of a shard's small columns, with what was joined and their number as `__row`."""
        table = shard.append_column(ROW, pa.array(np.arange(len(shard))))
        if self.joined is not None:
            table = self._with_joined(table)
        if self.where is not None:
            table = _filtered(table, self.where)
        if self.cutoffs is not None:
            strata = _strata(table, self.stratify)
            edges = np.array([self.cutoffs.get(s, -1) for s in strata], object)
            table = table.filter(pa.array(np.array(hashes(table["id"], self.seed) <= edges, bool)))
        if self.limits is not None:
            table = table.slice(0, self.limits.get(file, 0))
        return table

    def _with_joined(self, table: pa.Table) -> pa.Table:
        assert self.joined is not None
        if self.on not in table.column_names:
            raise SpecError(f"on: the corpus has no column {self.on!r}{nearest(self.on, table.column_names)}")
        keys = self.joined[self.on]
        places = pc.index_in(table[self.on].cast(keys.type), value_set=keys.combine_chunks())
        for name in self.joined.column_names:
            if name == self.on:
                continue
            column = self.joined[name].take(places)
            table = table.drop_columns([name]) if name in table.column_names else table
            table = table.append_column(name, column)
        return table


def small_columns(stream: pq.ParquetFile) -> pa.Table:
    """A shard without its pixels."""
    # One thread: Arrow's own would compete with the other replicas for the cores.
    return stream.read(columns=[name for name in stream.schema_arrow.names if name not in PIXELS], use_threads=False)


def resolve(subset: Reads, url: str, corpus: Corpus, split: str) -> Selection:
    """Look over the shards of a split as far as the subset needs it.

    Raises:
        SpecError: if a column is unknown, the condition is not SQL, or the joined file does not fit.
    """
    joined = None if subset.join is None else _load_join(subset, corpus)
    selection = Selection(subset.where, subset.seed, subset.stratify, subset.on, joined)
    if subset.stratify is not None and subset.sample is None:
        raise SpecError("stratify: needs --sample")
    shards = corpus.present(split)
    if subset.where is not None and shards:
        _try(selection, url, shards[0].file)
    if subset.sample is None and subset.limit is None:
        return selection
    if subset.sample is None:
        counts = _counted(selection, url, shards, plain=subset.where is None, limit=subset.limit or 0)
        return Selection(subset.where, on=subset.on, joined=joined, limits=_first(counts, subset.limit))
    cutoffs, counts = _drawn(selection, url, shards, subset.sample)
    limits = None if subset.limit is None else _first(counts, subset.limit)
    return Selection(subset.where, subset.seed, subset.stratify, subset.on, joined, cutoffs, limits)


def hashes(ids: pa.ChunkedArray, seed: int) -> Array:
    """(N,) uint64: where each id stands in the draw of `seed`."""
    start = hashlib.blake2b(f"{seed}:".encode(), digest_size=8)

    def draw(text: str) -> int:
        digest = start.copy()
        digest.update(text.encode())
        return int.from_bytes(digest.digest(), "big")

    return np.array([draw(text) for text in ids.to_pylist()], np.uint64)


def _load_join(subset: Reads, corpus: Corpus) -> pa.Table:
    table = tables.read(subset.join or "")
    if subset.on not in table.column_names:
        raise SpecError(f"join: {subset.join} has no column {subset.on!r}{nearest(subset.on, table.column_names)}")
    if pc.count_distinct(table[subset.on]).as_py() != len(table):
        raise SpecError(f"join: {subset.join} has the same {subset.on} twice")
    if "label" in table.column_names and not pa.types.is_integer(table["label"].type):
        names = pa.array(corpus.classes or (), pa.string())
        places = pc.index_in(table["label"].cast(pa.string()), value_set=names)
        lost = pc.and_(pc.is_null(places), pc.is_valid(table["label"]))
        if pc.any(lost).as_py():
            wrong = table["label"].filter(lost)[0].as_py()
            raise SpecError(f"join: label {wrong!r} is not a class of {corpus.name}{nearest(wrong, names.to_pylist())}")
        table = table.set_column(table.column_names.index("label"), "label", places.cast(pa.int32()))
    return table


def _filtered(table: pa.Table, where: str) -> pa.Table:
    import duckdb

    # The condition sees this table and nothing else: no files, no network.
    connection = duckdb.connect(config={"enable_external_access": "false"})
    connection.register("records", table)
    try:
        kept = connection.execute(f"SELECT {ROW} FROM records WHERE ({where}) ORDER BY {ROW}").fetchnumpy()[ROW]
    except duckdb.Error as error:
        raise SpecError(f"where: {str(error).strip().splitlines()[0]}") from None
    finally:
        connection.close()
    return table.filter(pc.is_in(table[ROW], value_set=pa.array(np.asarray(kept, np.int64))))


def _try(selection: Selection, url: str, file: str) -> None:
    """Read a condition before any work begins: on no rows, with the columns of one shard."""
    with opened(url, file) as shard:
        schema = shard.schema_arrow
    names = [name for name in schema.names if name not in PIXELS]
    selection.rows(pa.schema([schema.field(name) for name in names]).empty_table(), "")


def _strata(table: pa.Table, column: str | None) -> list[str]:
    if column is None:
        return ["all"] * len(table)
    if column not in table.column_names:
        raise SpecError(f"stratify: no column {column!r}{nearest(column, table.column_names)}")
    return ["(none)" if value is None else str(value) for value in table[column].to_pylist()]


def _tables(selection: Selection, url: str, shards: list[Shard]) -> Iterator[tuple[str, pa.Table]]:
    for shard in shards:
        with opened(url, shard.file) as stream:
            yield shard.file, selection.rows(small_columns(stream), shard.file)


def _counted(selection: Selection, url: str, shards: list[Shard], *, plain: bool, limit: int) -> dict[str, int]:
    """Selected rows by shard, in order, until `limit` is reached."""
    if plain:
        return {shard.file: shard.rows for shard in shards}
    counts: dict[str, int] = {}
    for file, table in _tables(selection, url, shards):
        counts[file] = len(table)
        if sum(counts.values()) >= limit:
            break
    return counts


def _first(counts: Mapping[str, int], limit: int | None) -> dict[str, int]:
    """How many rows of each shard are among the first `limit`."""
    left, limits = limit or 0, {}
    for file in sorted(counts):
        limits[file] = min(left, counts[file])
        left -= limits[file]
    return limits


def _drawn(selection: Selection, url: str, shards: list[Shard], wanted: int) -> tuple[dict[str, int], dict[str, int]]:
    """The highest kept hash of each stratum, and the kept rows of each shard."""
    lowest: dict[str, Array] = {}  # stratum -> (<= wanted, 2): hash and shard number
    seen: dict[str, int] = {}
    for number, (_, table) in enumerate(_tables(selection, url, shards)):
        strata = np.array(_strata(table, selection.stratify), object)
        drawn = hashes(table["id"], selection.seed)
        for stratum in sorted(set(strata)):
            mine = drawn[strata == stratum]
            seen[stratum] = seen.get(stratum, 0) + len(mine)
            rows = np.stack([mine, np.full(len(mine), number, np.uint64)], axis=1)
            both = np.concatenate([lowest.get(stratum, np.empty((0, 2), np.uint64)), rows])
            lowest[stratum] = both[np.argsort(both[:, 0], kind="stable")][:wanted]
    quotas = _shared(wanted, seen)
    kept = {stratum: rows[: quotas[stratum]] for stratum, rows in lowest.items()}
    cutoffs = {stratum: int(rows[-1, 0]) for stratum, rows in kept.items() if len(rows)}
    numbers = np.concatenate([rows[:, 1] for rows in kept.values()]) if kept else np.empty(0, np.uint64)
    return cutoffs, {shard.file: int((numbers == number).sum()) for number, shard in enumerate(shards)}


def _shared(wanted: int, seen: Mapping[str, int]) -> dict[str, int]:
    """`wanted` shared over strata in proportion to their size, by largest remainder."""
    total = sum(seen.values())
    if wanted >= total:
        return dict(seen)
    exact = {stratum: wanted * count / total for stratum, count in seen.items()}
    quotas = {stratum: int(share) for stratum, share in exact.items()}
    by_remainder = sorted(exact, key=lambda s: (quotas[s] - exact[s], s))
    for stratum in by_remainder[: wanted - sum(quotas.values())]:
        quotas[stratum] += 1
    return quotas
