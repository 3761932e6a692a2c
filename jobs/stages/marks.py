"""What is done: one small file for each group of blocks, with the digest of what each block left.

A mark names the fingerprint of its stage, so work of another configuration is never taken for this one's. It is written
when the group is done, and now and then before, so that a worker that dies loses seconds. What it says is held against
the files themselves: one that was deleted or torn is found by its digest, and made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs import storage

FORMAT = 1


@dataclass
class Mark:
    """What is done of a group.

    Attributes:
        fingerprint: of the stage.
        blocks: sha256 of each block's file by number; "" where it left none.
        counts: what each block counted, by number.
        sealed: sha256 of the group's file; None where there is none (yet).
    """

    fingerprint: str
    blocks: dict[int, str] = field(default_factory=dict)
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    sealed: str | None = None

    def to_json(self) -> bytes:
        facts: dict[str, Any] = {"format": FORMAT, "fingerprint": self.fingerprint, "sealed": self.sealed}
        blocks = {str(n): [self.blocks[n], self.counts.get(n, {})] for n in sorted(self.blocks)}
        return json.dumps({**facts, "blocks": blocks}, separators=(",", ":"), sort_keys=True).encode() + b"\n"

    def totals(self) -> dict[str, int]:
        """Counts over all blocks."""
        return added(self.counts.values())


def added(counts: Any) -> dict[str, int]:
    """The sum of counts by name."""
    total: dict[str, int] = {}
    for one in counts:
        for name, value in one.items():
            total[name] = total.get(name, 0) + int(value)
    return total


def load(url: str, fingerprint: str) -> Mark:
    """The mark at a place; one that says nothing is done if there is none, it is damaged, or of other work."""
    try:
        facts: Mapping[str, Any] = json.loads(storage.read(url))
        if facts["format"] != FORMAT or facts["fingerprint"] != fingerprint:
            return Mark(fingerprint)
        blocks = {int(number): str(found[0]) for number, found in facts["blocks"].items()}
        counts = {int(number): dict(found[1]) for number, found in facts["blocks"].items()}
        return Mark(fingerprint, blocks, counts, facts["sealed"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return Mark(fingerprint)


def save(url: str, mark: Mark) -> None:
    """Write a mark whole."""
    storage.write(url, mark.to_json())


def is_whole(url: str, sha256: str) -> bool:
    """Whether a file is the one that a mark names; "" names a file that must not be there."""
    return _sha256(url) == sha256


def digest_of(urls: Iterable[str]) -> str:
    """One digest of several files, in their order; one that is not there counts as that."""
    found = hashlib.sha256()
    for url in urls:
        found.update(_sha256(url).encode() + b"\n")
    return found.hexdigest()


def _sha256(url: str) -> str:
    """Of a file; "" if there is none. 1 to 2 GB a core-second, where a stage does some MB of voxels."""
    try:
        return hashlib.sha256(storage.read(url)).hexdigest()
    except FileNotFoundError:
        return ""
