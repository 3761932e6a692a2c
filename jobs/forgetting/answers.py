"""Predictions without some records: their shards written again under the names of what is left of the corpus.

A shard of answers bears a fingerprint of its input's bytes, which changed. The answers of the records that stay did
not: none depends on its neighbours. So where the old fingerprint can be made from the folder's own identity and the
old input, the new one is made the same way and `predict` has nothing to do; where it cannot (a limit or a sample takes
other records now, or the rule has changed), the mark fits nothing, and `predict` answers that shard again. Either way
the folder stays complete and can be evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import s3, storage
from jobs.engine import commit
from jobs.engine.commit import Receipt
from jobs.forgetting.erasing import erase, rewrite
from jobs.forgetting.files import without
from jobs.forgetting.ids import Ids
from jobs.spec import Touched
from vision.corpus import Corpus, Shard

_FOOTER = "safelight"
_DRAWN = ("limit", "sample")
"""Subsets that take other records when some are gone."""


@dataclass(frozen=True)
class History:
    """What became of a corpus' shards."""

    url: str
    corpus: Corpus

    def now(self, file: str) -> Shard | None:
        """What is left of a shard: itself, the one in its place, or nothing."""
        found = self.shards.get(file)
        while found is not None and found.forgotten:
            found = self._heirs.get(found.file)
        return found

    @cached_property
    def shards(self) -> dict[str, Shard]:
        return {shard.file: shard for shard in self.corpus.shards}

    @cached_property
    def _heirs(self) -> dict[str, Shard]:
        return {shard.replaces: shard for shard in self.corpus.shards if shard.replaces}


def purge(output: str, history: History, ids: Ids) -> Iterator[Touched]:
    """Take records out of a predictions folder, which the caller has claimed.

    Raises:
        SpecError: if it is none.
    """
    facts = commit.read_manifest(output)
    ours = facts["identity"].get("corpus") == history.url
    receipts = commit.committed(output)
    commit.sweep(output)
    for file in storage.files(output, ".parquet"):
        table = _read(storage.join(output, file))
        gone = 0 if "id" not in table.column_names else int(pc.sum(ids.among(table["id"])).as_py() or 0)
        old = history.shards.get(file) if ours else None
        moved = old is not None and old.forgotten
        if not gone and not moved:
            continue
        new = history.now(file) if moved else None
        receipt = receipts.get(file, Receipt(file, "", ""))
        kept = None if moved and new is None else _renewed(receipt, facts["identity"], old, new)
        kept = None if kept is None else _write(output, file, kept, ids)
        facts = _noted(output, facts, file, kept)
        if kept is None or kept.file != file:
            erase(storage.join(output, file))
        if gone:
            yield Touched(f"{output}/{file}", "answers", gone)
    if (said := without(facts, ids)) != facts:
        # A condition that named an id: what it chose stays as it is, and nobody adds to it under the old words.
        _save(output, said)
        yield Touched(f"{output}/{commit.MANIFEST}", "fields", 1)


def _read(url: str) -> pa.Table:
    filesystem, path = storage.locate(url)
    with filesystem.open_input_file(path) as stream:
        shard = pq.ParquetFile(stream)
        return shard.read(columns=[name for name in shard.schema_arrow.names if name == "id"])


def _renewed(receipt: Receipt, identity: Mapping[str, Any], old: Shard | None, new: Shard | None) -> Receipt:
    """The receipt of what is left, with a fingerprint that `predict` knows where that is exact."""
    if old is None or new is None:
        return replace(receipt, fingerprint=commit.digest({"without": receipt.fingerprint}))
    exact = not any(name in identity for name in _DRAWN)
    exact = (
        exact and receipt.input_sha256 == old.sha256 and receipt.fingerprint == commit.fingerprint(identity, old.sha256)
    )
    mark = commit.fingerprint(identity, new.sha256) if exact else commit.digest({"without": receipt.fingerprint})
    return replace(receipt, file=new.file, fingerprint=mark, input_sha256=new.sha256)


def _write(output: str, file: str, kept: Receipt, ids: Ids) -> Receipt:
    """Write what is left of a shard of answers, row group by row group as `predict` would."""
    filesystem, path = storage.locate(storage.join(output, file))
    with filesystem.open_input_file(path) as stream:
        old = pq.ParquetFile(stream)
        groups = (old.read_row_group(number).cast(_as_made(old.schema_arrow)) for number in range(old.num_row_groups))
        parts = [group.filter(pc.invert(ids.among(group["id"]))) for group in groups]
    parts = [part for part in parts if len(part)] or [parts[0].slice(0, 0)]
    broken = sum(len(part) - part["error"].null_count for part in parts if "error" in part.column_names)
    kept = replace(kept, rows=sum(map(len, parts)), errors=broken)
    url = storage.join(output, kept.file)
    before = s3.versions(url) if storage.is_s3(url) else []
    with storage.upload(url) as stream, pq.ParquetWriter(stream, parts[0].schema, compression="zstd") as writer:
        for part in parts:
            writer.write_table(part)
        writer.add_key_value_metadata({_FOOTER: json.dumps(asdict(kept), sort_keys=True)})
    for version in before:
        s3.request("delete_object", url, VersionId=version)
    return kept


def _as_made(read: pa.Schema) -> pa.Schema:
    """The schema that a file was written with: Parquet has its own name for the elements of lists."""
    fields = [f.with_type(pa.list_(f.type.value_type)) if pa.types.is_list(f.type) else f for f in read]
    return pa.schema([field.remove_metadata() for field in fields])


def _noted(output: str, facts: dict[str, Any], file: str, kept: Receipt | None) -> dict[str, Any]:
    """Say in the manifest what a shard has become; one that is not finished names no shards yet."""
    shards = dict(facts["shards"])
    if file not in shards:
        return facts
    shards.pop(file)
    if kept is not None:
        shards[kept.file] = {"input_sha256": kept.input_sha256, "rows": kept.rows, "errors": kept.errors}
    totals = {name: sum(shard[name] for shard in shards.values()) for name in ("rows", "errors")}
    facts = {**facts, **totals, "shards": shards}
    _save(output, facts)
    return facts


def _save(output: str, facts: Mapping[str, Any]) -> None:
    text = json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True)
    rewrite(storage.join(output, commit.MANIFEST), text.encode() + b"\n")
