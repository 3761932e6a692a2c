"""What `corpus.json` says: columns, splits, classes, groups, and the list of shards with their versions.

A shard is only ever added or withdrawn, and each change makes a version; an entry keeps the version that added it
and the one that withdrew it, so any past state is a filter over one list. An entry takes about 150 bytes:
100,000 shards, enough for a billion photos, are a file of 15 MB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

FORMAT = 1
READABLE_FORMATS = (0, 1)

CONTRACT_COLUMNS = (
    "id", "image", "uri", "bytes", "etag", "split", "label", "score", "top_labels", "top_scores", "error",
    "latitude", "longitude", "boxes", "box_labels", "keypoints", "mask",
)  # fmt: skip
"""Names with a fixed meaning. A source column that has one of them is kept as `source_<name>`."""


@dataclass(frozen=True)
class Shard:
    """One Parquet file of a corpus, the unit of work: `file` is `<split>/part-<n>.parquet`."""

    file: str
    rows: int
    bytes: int
    sha256: str
    added: int = 1
    withdrawn: int | None = None

    @property
    def split(self) -> str:
        return self.file.rsplit("/", 1)[0]


@dataclass(frozen=True)
class Corpus:
    """The manifest of a corpus at one version.

    `columns` maps a question column to its Arrow type; `groups` maps a declared group column to its allowed values.
    """

    name: str
    version: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    source: str = ""
    licence: str = ""
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    shards: tuple[Shard, ...] = ()
    format: int = FORMAT

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(sorted({shard.split for shard in self.present()}))

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.present())

    def present(self, split: str | None = None) -> list[Shard]:
        """The shards of this version, of one split or of all, in the order of their names."""
        inside = [
            s for s in self.shards if s.added <= self.version and (s.withdrawn is None or s.withdrawn > self.version)
        ]
        return sorted((s for s in inside if split in (None, s.split)), key=lambda s: s.file)

    def at(self, version: int) -> Corpus:
        """This corpus as it was at an earlier version."""
        return replace(self, version=version)

    def pick_split(self, split: str | None) -> str:
        """The split asked for, or the only one.

        Raises:
            ValueError: if there is no such split, or several and none was named.
        """
        if split is None and len(self.splits) == 1:
            return self.splits[0]
        if split is None:
            raise ValueError(f"{self.name} has the splits {', '.join(self.splits)}: choose one with --split")
        if split not in self.splits:
            raise ValueError(f"{self.name} has no split {split!r}, only {', '.join(self.splits)}")
        return split

    @property
    def digest(self) -> str:
        """What this version holds, as 64 hex digits: the bytes of its shards, its columns and its classes.

        The order of the shards, their names, and what is only said about them (name, licence, notes) do not count.
        """
        parts = [sorted(shard.sha256 for shard in self.present()), sorted(self.columns.items()), self.classes]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def to_json(self) -> str:
        fields = asdict(self)
        shards = fields.pop("shards")
        head = json.dumps({**fields, "splits": list(self.splits)}, indent=1, ensure_ascii=False)
        lines = ",\n".join(json.dumps(shard) for shard in shards)
        return f'{head[:-2]},\n "shards": [\n{lines}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str | bytes) -> Corpus:
        """Read a manifest back.

        Raises:
            ValueError: if it is not one, or of a format this version cannot read.
        """
        fields: dict[str, Any] = _object(text)
        if fields.get("format") not in READABLE_FORMATS:
            raise ValueError(f"corpus format {fields.get('format')!r} is not one of {READABLE_FORMATS}")
        fields.pop("splits", None)
        classes = fields.get("classes")
        return cls(
            **{
                **fields,
                "classes": None if classes is None else tuple(classes),
                "groups": {name: tuple(values) for name, values in fields.get("groups", {}).items()},
                "notes": tuple(fields.get("notes", ())),
                "shards": tuple(Shard(**shard) for shard in fields.get("shards", ())),
            }
        )


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise ValueError(f"corpus.json is not JSON: {error}") from None
    known = {"splits", *Corpus.__dataclass_fields__}
    if not isinstance(fields, dict) or "name" not in fields or not known >= set(fields):
        found = sorted(set(fields) - known) if isinstance(fields, dict) else type(fields).__name__
        raise ValueError(f"corpus.json is not the manifest of a corpus: it has {found}")
    return fields
