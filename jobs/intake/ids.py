"""Which records are new: every id by 8 bytes of its hash, so a driver can hold those of a large collection.

A record of this run costs 8 bytes; one that the corpus has already 20 (hash, state, shard): 126 million records take
1 GB new and 2.5 GB known. Two different ids share a hash with a chance of n^2 / 2^65 (0.04 % for 126 million), so
equal hashes are only a suspicion: before anything is refused the ids themselves are compared.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from vision.accumulator import Array
from vision.corpus import Corpus

STATES = b"safelight.states"
SOURCE = b"safelight.source"
_READERS = 16


def hashes(ids: Iterable[str]) -> Array:
    """(N,) uint64, from 8 bytes of BLAKE2b each."""
    return np.fromiter((_eight(text.encode()) for text in ids), np.uint64)


def states(entries: pa.Table) -> Array:
    """(N,) uint64 that change when anything about a record does: its file, its size or time, a label, a column."""
    rows = zip(*(column.to_pylist() for column in entries.columns), strict=True)
    return np.fromiter((_eight(repr(row).encode()) for row in rows), np.uint64)


def _eight(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")


def to_footer(values: Array) -> bytes:
    return base64.b64encode(values.astype("<u8").tobytes())


@dataclass
class Seen:
    """The hashes met in this run, in sorted runs of growing length."""

    runs: list[Array] = field(default_factory=list)

    def add(self, new: Array) -> Array:
        """Take hashes in; (N,) whether each was there already, in this batch or before."""
        again = np.zeros(len(new), bool)
        for run in self.runs:
            at = np.minimum(np.searchsorted(run, new), len(run) - 1)
            again |= run[at] == new
        _, first = np.unique(new, return_index=True)
        inside = np.ones(len(new), bool)
        inside[first] = False
        self._keep(np.sort(new[~inside & ~again]))
        return again | inside

    def _keep(self, run: Array) -> None:
        if not len(run):
            return
        self.runs.append(run)
        while len(self.runs) > 1 and len(self.runs[-2]) < 2 * len(self.runs[-1]):
            last = self.runs.pop()
            self.runs[-1] = np.sort(np.concatenate([self.runs[-1], last]))


@dataclass(frozen=True)
class Known:
    """The records of a corpus: sorted hashes (N,), their states (N,), and the number of their shard (N,)."""

    hashes: Array
    states: Array
    shards: Array
    files: Sequence[str]
    sources: Sequence[str]
    url: str
    _last: dict[int, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, url: str, corpus: Corpus) -> Known:
        """Read the ids of every shard; on S3 several at a time."""
        files = [shard.file for shard in corpus.present()]
        with ThreadPoolExecutor(_READERS) as pool:
            parts = list(pool.map(lambda file: _read(storage.join(url, file)), files))
        counts = [len(ids) for ids, _, _ in parts]
        empty = np.empty(0, np.uint64)
        all_hashes = np.concatenate([empty, *(ids for ids, _, _ in parts)])
        order = np.argsort(all_hashes, kind="stable")
        return cls(
            all_hashes[order],
            np.concatenate([empty, *(state for _, state, _ in parts)])[order],
            np.repeat(np.arange(len(files), dtype=np.int32), counts)[order],
            files,
            [source for _, _, source in parts],
            url,
        )

    @classmethod
    def nothing(cls, url: str) -> Known:
        """The records of a corpus that is not there yet."""
        empty = np.empty(0, np.uint64)
        return cls(empty, empty, empty.astype(np.int32), (), (), url)

    def sort_out(self, ids: Sequence[str], new: Array, state: Array, source: str) -> tuple[Array, list[str], list[str]]:
        """What of a batch is here already.

        Returns:
            (N,) whether each record is here, unchanged; ids that are here from this source, but changed; ids that are
            here from another source.
        """
        if not len(self.hashes):
            return np.zeros(len(new), bool), [], []
        ours = np.array([found == source for found in self.sources])
        at = np.minimum(np.searchsorted(self.hashes, new), len(self.hashes) - 1)
        met = self.hashes[at] == new
        here = met & (self.states[at] == state) & ours[self.shards[at]]
        changed: list[str] = []
        elsewhere: list[str] = []
        for row in np.flatnonzero(met & ~here).tolist():
            places = self._places(new[row])
            shards = self.shards[places]
            if bool(((self.states[places] == state[row]) & ours[shards]).any()):
                here[row] = True
                continue
            # Different ids may share a hash: only one that is there as text is the same record.
            for shard in [s for s in np.unique(shards).tolist() if ids[row] in self._ids(s)]:
                if ours[shard] and not self.states[places][shards == shard].any():
                    here[row] = True  # the shard does not say what it was made of, and is taken at its word
                else:
                    (changed if ours[shard] else elsewhere).append(ids[row])
        return here, changed, elsewhere

    def _places(self, wanted: np.uint64) -> slice:
        """All places of a hash: more than one if ids share it."""
        low = int(np.searchsorted(self.hashes, wanted, "left"))
        return slice(low, int(np.searchsorted(self.hashes, wanted, "right")))

    def _ids(self, shard: int) -> set[str]:
        """The real ids of a shard; those of the last one are kept, because suspects come in rows."""
        if shard not in self._last:
            self._last.clear()
            self._last[shard] = set(_column(storage.join(self.url, self.files[shard])))
        return self._last[shard]


def shard_schema(url: str) -> pa.Schema:
    """The columns of a shard."""
    filesystem, path = storage.locate(url)
    return pq.read_schema(path, filesystem=filesystem)


def _column(url: str) -> list[str]:
    filesystem, path = storage.locate(url)
    ids: list[str] = pq.read_table(path, columns=["id"], filesystem=filesystem)["id"].to_pylist()
    return ids


def _read(url: str) -> tuple[Array, Array, str]:
    """Hashes, states and source of a shard's records; unknown states are 0 and match nothing."""
    filesystem, path = storage.locate(url)
    footer = pq.read_metadata(path, filesystem=filesystem).metadata or {}
    found = hashes(_column(url))
    kept = np.frombuffer(base64.b64decode(footer.get(STATES, b"")), "<u8")
    kept = kept if len(kept) == len(found) else np.zeros(len(found), np.uint64)
    return found, kept, footer.get(SOURCE, b"").decode()
