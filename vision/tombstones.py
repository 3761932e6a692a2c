"""Which ids were forgotten, without saying them: keyed digests that a new listing can be held against.

The key lies beside the digests, so whoever has both can ask whether a given id was forgotten, as ingest must; nobody
can list what was. 32 hex digits an id: 10,000 forgotten records are 350 kB, and two ids meet with a chance below 1e-20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property


@dataclass(frozen=True)
class Tombstones:
    """The digests of forgotten ids: BLAKE2b of 16 bytes under `key` (hex), as hex digits, sorted."""

    key: str
    marks: tuple[str, ...] = ()

    def holds(self, ids: Iterable[str]) -> list[bool]:
        """Whether each id was forgotten."""
        return [self._mark(text) in self._known for text in ids]

    def add(self, ids: Iterable[str]) -> Tombstones:
        """These and more."""
        return replace(self, marks=tuple(sorted({*self.marks, *map(self._mark, ids)})))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.marks)

    def _mark(self, text: str) -> str:
        return hashlib.blake2b(text.encode(), digest_size=16, key=bytes.fromhex(self.key)).hexdigest()
