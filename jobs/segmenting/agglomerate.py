"""Agglomeration of the whole graph in one process, and its lookup tables, each with a fingerprint of its own.

The history of a greedy agglomeration is kept (`joins.parquet`): a new threshold reads it, and neither adds up edges nor
joins again. What is in the driver: by threshold a spanning forest of the fragments, since files of edges are read one
after another and let go; joining greedily, or with a least size, the whole graph (`memory` says how many bytes). A
millimetre cubed has some 10^12 edges, and wants joining by parts first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from jobs import storage
from jobs.engine.commit import digest
from jobs.segmenting import graph as files
from jobs.segmenting import lookup, rows
from jobs.segmenting.graph import Graph
from jobs.spec import JobFailed, SpecError
from jobs.stages import ledger
from jobs.stages.region import Region
from vision.accumulator import Array
from vision.connectomics.agglomeration import Joins, greedy, in_parts, without_small
from vision.connectomics.edges import Edges
from vision.connectomics.proofreading import Correction, corrected
from vision.connectomics.relabel import Lookup
from vision.connectomics.unionfind import consecutive

DRIVER_BYTES, BATCH_BYTES = 160 * 2**20, 45 * 2**20
"""Before the first edge: Python, numpy, Arrow and what a job loads; edges that are taken in at once. Measured."""

BYTES_STREAMED, BYTES_ADDED, BYTES_GREEDY, BYTES_HISTOGRAM = 25, 160, 750, 4100
"""An edge: by threshold from files read one after another; where all of a pair are added up first, or segments have a
least size; joined greedily; and what quantiles take besides. Measured on 1 and 5 million, 9 a fragment."""


@dataclass(frozen=True)
class Agglomeration:
    """How fragments become segments.

    Attributes:
        output: URL of the run.
        region: the blocks, whose groups the tables are cut by.
        edges: fingerprint of the stage of edges; its files are what is agglomerated.
        method: `greedy` (lowest mean boundary first, pooled) or `threshold` (every edge up to the threshold joins).
        quantile: of an edge's faces in place of their mean; None for the mean.
        min_size: segments of fewer voxels join their best neighbour.
        say: tells whoever watches.
        called: the name of the only table there is; None: by threshold.
        apart: whether all faces between two fragments are in one file, as where fragments end at faces of blocks; of
            fragments that were given they may be in many, and are added up first.
        corrections, decided: what proofreaders accepted, and the digest of their decisions; "" for none.
    """

    output: str
    region: Region
    edges: str
    method: str
    quantile: float | None
    min_size: int
    say: Callable[[str], None] = field(default=lambda _line: None)
    called: str | None = None
    corrections: tuple[Correction, ...] = ()
    decided: str = ""
    apart: bool = True

    def name(self, threshold: float) -> str:
        """What a table and the labels made with it are called."""
        if self.called:
            return self.called
        ways = [f"q{self.quantile:g}"] if self.quantile is not None else []
        ways += ["joined"] if self.method == "threshold" else []
        ways += [f"min{self.min_size}"] if self.min_size else []
        ways += [f"decided-{self.decided[:8]}"] if self.decided else []
        return "-".join([lookup.name(threshold), *ways])

    def folder(self, threshold: float) -> str:
        """Where the table of a threshold lies."""
        return storage.join(self.output, "lookup", self.name(threshold))

    def fingerprint(self, threshold: float) -> str:
        """What decides the table of a threshold."""
        return digest({**self._facts(), "threshold": threshold, "min_size": self.min_size, "decided": self.decided})

    def _facts(self) -> Mapping[str, Any]:
        return {"stage": "agglomerate", "edges": self.edges, "method": self.method, "quantile": self.quantile}

    def carry_out(self, thresholds: Sequence[float]) -> list[float]:
        """Write the tables that are missing; their thresholds."""
        missing = [t for t in thresholds if not self._is_done(t)]
        for threshold, table in zip(missing, self.tables(missing), strict=True):
            self._write(threshold, table)
        return missing

    def memory(self, edges: float) -> int:
        """Bytes that this process needs for a graph of so many edges."""
        if self.method == "greedy":
            each = BYTES_GREEDY + (BYTES_HISTOGRAM if self.quantile is not None else 0)
        else:
            each = BYTES_STREAMED if self.apart and not self.min_size else BYTES_ADDED
        return DRIVER_BYTES + BATCH_BYTES + int(each * edges)

    def tables(self, thresholds: Sequence[float]) -> Iterator[Lookup]:
        """Fragment to segment, for each threshold; segments are numbered 1, 2, ... by their smallest fragment."""
        for found in self._joined(thresholds):
            yield consecutive(self._with_small(found) if self.min_size else found)

    def _with_small(self, found: Lookup) -> Lookup:
        return without_small(found, self.graph.sizes, self.graph.edges, self.min_size)

    def _joined(self, thresholds: Sequence[float]) -> Iterator[Lookup]:
        if self.decided:
            yield from map(self._corrected, thresholds)
        elif self.method == "greedy":
            yield from map(self.history.at, thresholds)
        elif thresholds:
            yield from in_parts(self._fragments(), self._edges(), thresholds)

    def _fragments(self) -> Array:
        """(N,) uint64 all ids."""
        if not self.apart:
            return self.graph.ids
        return np.concatenate([np.empty(0, np.uint64), *map(files.nodes, self._files())])

    def _edges(self) -> Iterator[Edges]:
        """All edges, each pair in one part."""
        if not self.apart:
            return iter([self.graph.edges])
        return (files.read(url, files.MEANS).edges for url in self._files())

    def _files(self) -> Iterator[str]:
        return files.files(storage.join(self.output, "edges"), self.region.groups)

    def _corrected(self, threshold: float) -> Lookup:
        """With what proofreaders decided."""
        try:
            return corrected(self.history, threshold, list(self.corrections))
        except ValueError as error:
            raise SpecError(f"decisions: {error}") from None

    @cached_property
    def graph(self) -> Graph:
        """The graph of all groups, with what joining needs of it."""
        return files.read_all(self._files(), (*files.MEANS, *([] if self.quantile is None else ["histogram"])))

    @cached_property
    def history(self) -> Joins:
        """All joins; read where they are kept."""
        fingerprint = digest(self._facts())
        name = "joins" if self.quantile is None else f"joins-q{self.quantile:g}"
        place, held = storage.join(self.output, f"{name}.parquet"), ledger.read(self.output, name)
        if held and held["fingerprint"] == fingerprint and _sha256(place) == held["digest"]:
            return _joins(rows.read(place))
        self.say(f"agglomerating {len(self.graph.ids):,} fragments and {len(self.graph.edges):,} edges")
        joins = greedy(self.graph.ids, self.graph.edges, 1.0, self.quantile)
        data = _packed(joins)
        storage.write(place, data)
        ledger.write(self.output, name, fingerprint, self._facts(), hashlib.sha256(data).hexdigest())
        return joins

    def _is_done(self, threshold: float) -> bool:
        held = ledger.read(self.output, f"lookup-{self.name(threshold)}")
        if not held or held["fingerprint"] != self.fingerprint(threshold):
            return False
        parts = [_sha256(storage.join(self.folder(threshold), lookup.part(g))) for g in range(self.region.groups)]
        return None not in parts and _together(parts) == held["digest"]

    def _write(self, threshold: float, table: Lookup) -> None:
        """Cut a table by groups: each gets the rows of the fragments that it has."""
        digests: list[str | None] = []
        for group, url in enumerate(self._files()):
            ids = files.nodes(url)
            rows = np.searchsorted(table.ids, ids)
            if len(ids) and not (len(table) and (table.ids[np.minimum(rows, len(table) - 1)] == ids).all()):
                raise JobFailed(f"{url} has fragments that are not in the table of joins: it was changed meanwhile")
            data = lookup.write(
                storage.join(self.folder(threshold), lookup.part(group)), Lookup(ids, table.values[rows])
            )
            digests.append(hashlib.sha256(data).hexdigest())
        facts = {**self._facts(), "threshold": threshold, "min_size": self.min_size}
        name = f"lookup-{self.name(threshold)}"
        ledger.write(self.output, name, self.fingerprint(threshold), facts, _together(digests))


def _packed(joins: Joins) -> bytes:
    """A row for each fragment, and beside the first of them the joins in order: a forest has fewer joins than nodes."""
    ids = joins.ids
    columns: dict[str, Any] = {"id": ids}
    named = (("first", ids[joins.pairs[:, 0]]), ("second", ids[joins.pairs[:, 1]]), ("score", joins.scores))
    for name, values in named:
        joined = pa.array(values)
        columns[name] = pa.chunked_array([joined, pa.nulls(len(ids) - len(values), joined.type)])
    return rows.packed(columns)


def _joins(table: pa.Table) -> Joins:
    ids = table["id"].to_numpy()
    first, second, score = (table[name].drop_null().to_numpy() for name in ("first", "second", "score"))
    return Joins(ids, np.stack([np.searchsorted(ids, first), np.searchsorted(ids, second)], axis=1), score)


def _sha256(url: str) -> str | None:
    try:
        return hashlib.sha256(storage.read(url)).hexdigest()
    except FileNotFoundError:
        return None


def _together(parts: Sequence[str | None]) -> str:
    return hashlib.sha256("".join(part or "" for part in parts).encode()).hexdigest()
