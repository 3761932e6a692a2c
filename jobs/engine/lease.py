"""Work to do, as it is told to a worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lease:
    """Work to do: a descriptor of some 300 bytes, all that crosses Ray.

    Attributes:
        fingerprints: what each target's answers will be marked with; None where they are committed already.
        group: the only row group to answer, where a shard is shared between workers.
        seal: of a shared shard, how many row groups to put together into the answers of the whole.
    """

    file: str
    sha256: str
    fingerprints: tuple[str | None, ...]
    group: int | None = None
    seal: int = 0

    def wanted(self) -> list[int]:
        """The targets that lack its answers."""
        return [index for index, mark in enumerate(self.fingerprints) if mark is not None]

    def __str__(self) -> str:
        return self.file if self.group is None else f"{self.file} (row group {self.group})"
