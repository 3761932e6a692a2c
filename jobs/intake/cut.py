"""Entries cut into shards: each split by itself, in the order of the listing, by rows or by bytes.

A cut depends on nothing but the order of the records and their sizes, so a rerun plans the same shards, and each says
in a fingerprint what it is to hold.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from jobs.spec import JobFailed
from vision.accumulator import Array

STATE = "_state"
"""Column of entries with the state of each record (uint64)."""

MOST_ROWS = 65_536
UNKNOWN_BYTES = 100_000
"""What an image of unknown size counts as."""

_SPLIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,99}")


@dataclass(frozen=True)
class Plan:
    """A shard to be written: its file, its entries (an Arrow stream, small to send), and its fingerprint."""

    file: str
    content: bytes = field(repr=False)
    fingerprint: str
    rows: int
    bytes: int

    @property
    def entries(self) -> pa.Table:
        return pa.ipc.open_stream(self.content).read_all()


@dataclass
class _Open:
    """A shard that is being filled."""

    parts: list[pa.Table] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0


@dataclass
class Cutter:
    """Collects entries and gives out a plan whenever a shard is full.

    Attributes:
        rows: rows of a shard; None: by bytes.
        limit: bytes of images of a shard, where `rows` is None; an image larger than that is a shard of its own.
        numbers: the next number of each split.
        salt: what else decides the bytes of a shard.
    """

    rows: int | None
    limit: int
    numbers: dict[str, int]
    salt: str
    _open: dict[str, _Open] = field(default_factory=dict)

    def run(self, tables: Iterable[pa.Table]) -> Iterator[Plan]:
        """The shards of a stream of entries."""
        for entries in tables:
            yield from self.add(entries)
        yield from self.finish()

    def add(self, entries: pa.Table) -> Iterator[Plan]:
        """Take entries with their splits and states; yield the shards that are full."""
        for split in pc.unique(entries["split"]).to_pylist():
            yield from self._add(check_split(split), entries.filter(pc.equal(entries["split"], split)))

    def finish(self) -> Iterator[Plan]:
        """Yield what is left."""
        for split in sorted(self._open):
            if self._open[split].rows:
                yield self._close(split)

    def _add(self, split: str, entries: pa.Table) -> Iterator[Plan]:
        start = 0
        shard = self._open.setdefault(split, _Open())
        sizes = entries["length"].fill_null(UNKNOWN_BYTES).to_pylist()
        for row, size in enumerate(sizes):
            if shard.rows and self._full(shard, size):
                shard.parts.append(entries.slice(start, row - start))
                yield self._close(split)
                start, shard = row, self._open[split]
            shard.rows += 1
            shard.bytes += size
        shard.parts.append(entries.slice(start))

    def _full(self, shard: _Open, size: int) -> bool:
        if self.rows is not None:
            return shard.rows >= self.rows
        return shard.rows >= MOST_ROWS or shard.bytes + size > self.limit

    def _close(self, split: str) -> Plan:
        shard = self._open[split]
        entries = pa.concat_tables(shard.parts).combine_chunks()
        number = self.numbers.get(split, 0)
        self.numbers[split] = number + 1
        self._open[split] = _Open()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, entries.schema) as writer:
            writer.write_table(entries)
        state: Array = entries[STATE].to_numpy()
        content = sink.getvalue().to_pybytes()
        fingerprint = hashlib.sha256(self.salt.encode() + state.astype("<u8").tobytes()).hexdigest()
        return Plan(f"{split}/part-{number:05d}.parquet", content, fingerprint, shard.rows, shard.bytes)


def check_split(split: str) -> str:
    """A split whose name can be that of a folder.

    Raises:
        JobFailed: if it cannot: letters, digits and _ . = - only, up to 100.
    """
    if not _SPLIT.fullmatch(split) or ".." in split:
        raise JobFailed(f"split {split!r} cannot be the name of a folder (letters, digits and _ . = - only)")
    return split


def next_numbers(files: Iterable[str]) -> dict[str, int]:
    """The first free number of each split, after all files that a corpus has or had."""
    numbers: dict[str, int] = {}
    for file in files:
        split, _, name = file.rpartition("/")
        if found := re.fullmatch(r"part-(\d+)\.parquet", name):
            numbers[split] = max(numbers.get(split, 0), int(found[1]) + 1)
    return numbers
