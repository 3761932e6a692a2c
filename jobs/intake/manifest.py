"""`corpus.json` read before the work and changed after it, by compare and swap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from jobs import storage
from jobs.intake.agree import Terms
from jobs.intake.write import PLAN, Receipt, footer_of
from jobs.spec import JobFailed
from vision.corpus import FORMAT, Corpus, Shard
from vision.layout import Listing

NAME = "corpus.json"


@dataclass(frozen=True)
class Manifest:
    """A corpus as it was when the job began; None if there was none."""

    url: str
    corpus: Corpus | None
    token: str | None

    @classmethod
    def read(cls, url: str) -> Manifest:
        """The manifest at a URL.

        Raises:
            JobFailed: if there is one that cannot be read.
        """
        data, token = storage.read_versioned(storage.join(url, NAME))
        try:
            return cls(url, None if data is None else Corpus.from_json(data), token)
        except ValueError as error:
            raise JobFailed(f"{url}/{NAME} cannot be read: {error}") from None

    def commit(
        self,
        name: str | None,
        licence: str | None,
        source: str,
        agreed: Terms,
        listing: Listing,
        receipts: Sequence[Receipt],
    ) -> Corpus:
        """Make new shards visible, as one new version; without any, and nothing else to say, leave it as it is.

        Raises:
            Conflict: if someone else changed the corpus meanwhile.
        """
        before = self.corpus or Corpus(name or self.url.rsplit("/", 1)[-1], licence=listing.licence)
        version = before.version + 1
        added = tuple(Shard(r.file, r.rows, r.bytes, r.sha256, added=version) for r in receipts)
        after = replace(
            before,
            name=name or before.name,
            licence=licence or before.licence,
            shards=(*before.shards, *added),
        )
        if self.corpus is not None and after == before:
            return before
        sources = [before.source] if before.source else []
        if added and source not in before.source.split(", "):
            sources.append(source)
        after = replace(
            after,
            version=version,
            format=FORMAT,
            source=", ".join(sources),
            columns={field.name: str(field.type) for field in agreed.columns},
            classes=agreed.classes,
            groups=dict(agreed.groups.values),
            notes=tuple(dict.fromkeys([*before.notes, *listing.notes])),
        )
        storage.replace(storage.join(self.url, NAME), after.to_json().encode(), self.token)
        if added:
            self.sweep(after)
        return after

    def sweep(self, corpus: Corpus) -> None:
        """Remove shards of an attempt with other cuts, which no version lists; other people's files stay."""
        listed = {shard.file for shard in corpus.shards}
        for file in storage.files(self.url, ".parquet"):
            url = storage.join(self.url, file)
            if file not in listed and PLAN in (footer_of(url) or {}):
                storage.remove(url)
        if not storage.is_s3(self.url):
            # What a killed process was writing; nobody else writes here while the claim is held.
            for split in corpus.splits:
                for left in Path(self.url, split).glob(".part-*.parquet.*.tmp"):
                    left.unlink(missing_ok=True)


def splits_table(corpus: Corpus) -> pa.Table:
    """Rows, shards and bytes of each split of a corpus."""
    shards = {split: corpus.present(split) for split in corpus.splits}
    return pa.table(
        {
            "split": list(shards),
            "rows": pa.array([sum(shard.rows for shard in found) for found in shards.values()], pa.int64()),
            "shards": pa.array([len(found) for found in shards.values()], pa.int64()),
            "bytes": pa.array([sum(shard.bytes for shard in found) for found in shards.values()], pa.int64()),
        }
    )


def labels_table(counts: Counter[tuple[str, int | None]], classes: tuple[str, ...] | None) -> pa.Table:
    """How many new records have each label, by split; a label without a class has no name."""
    rows = sorted(counts.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1] or 0))
    names = [classes[label] if classes and label is not None and label >= 0 else None for (_, label), _ in rows]
    return pa.table(
        {
            "split": [split for (split, _), _ in rows],
            "label": pa.array([label for (_, label), _ in rows], pa.int32()),
            "class": pa.array(names, pa.string()),
            "rows": pa.array([count for _, count in rows], pa.int64()),
        }
    )


def rejected_table(counts: Counter[str]) -> pa.Table:
    """How many records of a source were not fit for the corpus, by reason, the most frequent first."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return pa.table({
        "reason": pa.array([reason for reason, _ in rows], pa.string()),
        "records": pa.array([count for _, count in rows], pa.int64()),
    })  # fmt: skip
