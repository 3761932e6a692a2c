"""What `corpus.json` says: columns, splits, classes, groups, and the list of shards with their versions.

A shard is only ever added or withdrawn, and each change makes a version; an entry keeps the version that added it
and the one that withdrew it, so any past state is a filter over one list. An entry takes about 150 bytes:
100,000 shards, enough for a billion photos, are a file of 15 MB.

Records that are forgotten leave every version. A shard that held one is withdrawn and its file deleted; what is left
of it is a new shard that stands in its place in past versions too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vision.tombstones import Tombstones

FORMAT = 1
READABLE_FORMATS = (0, 1)

CONTRACT_COLUMNS = (
    "id", "image", "uri", "bytes", "etag", "split", "label", "score", "top_labels", "top_scores", "error",
    "latitude", "longitude", "boxes", "box_labels", "keypoints", "mask",
)  # fmt: skip
"""Names with a fixed meaning. A source column that has one of them is kept as `source_<name>`."""


@dataclass(frozen=True)
class Shard:
    """One Parquet file of a corpus, the unit of work: `file` is `<split>/part-<n>.parquet`.

    Attributes:
        forgotten: the file is deleted for good, because a record of it was to be forgotten.
        replaces: the forgotten shard of which this is what is left.
        since: with `replaces`, the version from which on this stands in for it.
    """

    file: str
    rows: int
    bytes: int
    sha256: str
    added: int = 1
    withdrawn: int | None = None
    forgotten: bool = False
    replaces: str | None = None
    since: int | None = None

    @property
    def split(self) -> str:
        return self.file.rsplit("/", 1)[0]

    @property
    def first(self) -> int:
        """The version from which on its records belong to the corpus."""
        return self.added if self.since is None else self.since

    def is_in(self, version: int) -> bool:
        """Whether a version reads it."""
        return not self.forgotten and self.first <= version and (self.withdrawn is None or self.withdrawn > version)

    def to_json(self) -> str:
        """Its entry; what was never forgotten says nothing about it."""
        unsaid = {"forgotten": False, "replaces": None, "since": None}
        return json.dumps({k: v for k, v in vars(self).items() if k not in unsaid or v != unsaid[k]})


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
    forgotten: Tombstones | None = None
    format: int = FORMAT

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(sorted({shard.split for shard in self.present()}))

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.present())

    def present(self, split: str | None = None) -> list[Shard]:
        """The shards of this version, of one split or of all, in the order of their names."""
        inside = (shard for shard in self.shards if shard.is_in(self.version))
        return sorted((s for s in inside if split in (None, s.split)), key=lambda s: s.file)

    @property
    def gaps(self) -> int:
        """Shards of this version that have lost records since, because those were to be forgotten."""
        lost = (s for s in self.shards if s.forgotten and s.added <= self.version)
        return sum(shard.withdrawn is not None and shard.withdrawn > self.version for shard in lost)

    def without(self, left: Mapping[str, Shard | None], forgotten: Tombstones) -> Corpus:
        """The next version, in which shards are forgotten.

        Args:
            left: what is left of each forgotten shard, by its file; None if nothing is.
            forgotten: the ids that are not to come back.
        """
        version = self.version + 1
        kept = [_forgotten(s, version) if s.file in left else s for s in self.shards]
        new = [_in_place(left[s.file], s, version) for s in self.shards if s.file in left]
        shards = (*kept, *(shard for shard in new if shard is not None))
        return replace(self, version=version, shards=shards, forgotten=forgotten)

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
        fields = asdict(replace(self, shards=()))
        fields.pop("shards")
        if self.forgotten is None:
            fields.pop("forgotten")
        head = json.dumps({**fields, "splits": list(self.splits)}, indent=1, ensure_ascii=False)
        lines = ",\n".join(shard.to_json() for shard in self.shards)
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
        classes, forgotten = fields.get("classes"), fields.get("forgotten")
        return cls(
            **{
                **fields,
                "classes": None if classes is None else tuple(classes),
                "groups": {name: tuple(values) for name, values in fields.get("groups", {}).items()},
                "notes": tuple(fields.get("notes", ())),
                "shards": tuple(Shard(**shard) for shard in fields.get("shards", ())),
                "forgotten": forgotten and Tombstones(forgotten["key"], tuple(forgotten["marks"])),
            }
        )


def _forgotten(shard: Shard, version: int) -> Shard:
    return replace(shard, forgotten=True, withdrawn=version if shard.withdrawn is None else shard.withdrawn)


def _in_place(left: Shard | None, old: Shard, version: int) -> Shard | None:
    """What is left of a shard, standing in its place in every version that had it."""
    if left is None:
        return None
    return replace(left, added=version, withdrawn=old.withdrawn, replaces=old.file, since=old.first)


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
