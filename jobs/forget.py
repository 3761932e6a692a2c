"""Records withdrawn for good: from every version of a corpus, from answers, and from what reports show of them.

The order is such that at every moment a record is either still wholly there or gone, and the same command finishes
what a crash left: what is left of each shard is written under a new name; `corpus.json` then changes at once, by
compare and swap, and keeps a tombstone of each id (`vision.tombstones`), so that ingest does not bring it back; then
the old files are deleted, and then the answers, the positions beside cells and the records of runs are cleaned.

Models that were trained on a record are not changed, nor is the source it came from.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import pyarrow as pa
from pydantic import Field

from jobs import storage
from jobs.engine import commit
from jobs.forgetting import answers, cells, shards
from jobs.forgetting.erasing import erase
from jobs.forgetting.ids import Ids
from jobs.forgetting.shards import Hit
from jobs.intake.cut import next_numbers
from jobs.intake.ids import shard_schema
from jobs.intake.manifest import NAME, Manifest
from jobs.probing import size_text
from jobs.records import open_corpus
from jobs.spec import Context, Job, JobFailed, Plain, Report, SpecError, Touched
from vision.corpus import Corpus
from vision.tombstones import Tombstones

LISTED = 20
"""Lines of the file that are named as not found; the rest are counted."""


@dataclass(frozen=True)
class _Done:
    """A corpus after its records were forgotten."""

    corpus: Corpus
    touched: tuple[Touched, ...]
    found: frozenset[str]
    unknown: tuple[int, ...]
    notes: tuple[str, ...]


class Forget(Job):
    """Withdraw records from a corpus and from everything that was made of them."""

    corpus: str = Field(description="folder or URL of a corpus; all its versions lose the records")
    ids: str = Field(description="file of ids: one a line, or a CSV or Parquet table with a column id")
    outputs: tuple[str, ...] = Field(
        (), description="predictions and files of cells, besides those beside the corpus and those of runs"
    )

    def run(self, context: Context | None = None) -> Report:
        """Forget.

        Raises:
            SpecError: if the corpus, the ids or an output is not there.
            JobFailed: if none of the ids is known here, another job writes there, or something cannot be changed.
        """
        context = context or Plain()
        ids, url = Ids.read(self.ids), self._url()
        with ExitStack() as claims:
            claims.enter_context(storage.claim(url))
            places, states, counted = self._places(url, context)
            for place in (*places, *states):
                claims.enter_context(storage.claim(place))
            done = _from_corpus(url, ids)
            touched = list(done.touched)
            for place in places:
                touched += answers.purge(place, answers.History(url, done.corpus), ids)
            for folder in states:
                touched += cells.purge(folder, done.corpus)
            touched += cells.left(counted, done.corpus)
            touched += context.forget(url, places, ids)
        if not any(one.rows for one in touched) and len(done.unknown) == len(ids.lines):
            raise JobFailed(f"none of the {len(ids.lines):,} ids in {self.ids} is or was in {url}: nothing was changed")
        return self._report(url, ids, done, touched)

    def estimate(self, context: Context) -> Mapping[str, str]:
        """What would be rewritten, by a look at the ids of every shard."""
        ids, url = Ids.read(self.ids), self._url()
        hits = shards.holding(url, open_corpus(url)[1], ids)
        places, states, counted = self._places(url, context)
        return {
            "records": f"{len({id_ for hit in hits for id_ in hit.ids}):,} of {len(ids.lines):,} ids are there",
            "shards to rewrite": f"{len(hits):,} of {size_text(sum(hit.shard.bytes for hit in hits))}",
            "predictions": ", ".join(places) or "none",
            "positions": ", ".join(states) or "none",
            "cells to partition again": ", ".join(counted) or "none",
        }

    def _url(self) -> str:
        url, _, version = self.corpus.rpartition("@")
        if url and version.isdigit():
            raise SpecError(f"corpus: records are forgotten in all versions; name {url} without @{version}")
        return open_corpus(self.corpus)[0]

    def _places(self, url: str, context: Context) -> tuple[list[str], list[str], list[str]]:
        """What is to be cleaned, of what is named, beside the corpus, or recorded: predictions; positions of cells.

        Last the files of cells themselves, which can only be named.
        """
        recorded = context.derived(url)
        named = [place for place in map(storage.absolute, self.outputs) if cells.about(place) is None]
        for place in named:
            commit.read_manifest(place)
        beside = f"{url}.predictions"
        folders = [file.rpartition("/")[0] for file in storage.files(beside, f"/{commit.MANIFEST}")]
        found = {*named, *(storage.join(beside, folder) for folder in folders)}
        answered = {*found, *(place for place in recorded if _holds_answers(place, context))}
        others = sorted({*map(storage.absolute, self.outputs), *recorded} - answered)
        return sorted(answered), cells.states(others, url, context.log), cells.counted(others, url)

    def _report(self, url: str, ids: Ids, done: _Done, touched: Sequence[Touched]) -> Report:
        before = len(ids.lines) - len(done.found) - len(done.unknown)
        notes = [f"{len(done.found):,} records are forgotten: version {done.corpus.version}"] if done.found else []
        notes += [f"{before:,} ids were forgotten before"] if before else []
        notes += [_unknown(self.ids, done.unknown)] if done.unknown else []
        notes += done.notes
        blunt = len(ids.lines) - len(ids.telling)
        if blunt:
            notes.append(
                f"{blunt:,} ids are numbers or plain words: they are gone from columns and pictures, and in free text "
                "(logs, errors) nobody can tell them from other words"
            )
        notes.append(f"{self.ids} still names them: delete it when you need it no more")
        tags = {"corpus": url, "corpus_version": str(done.corpus.version), "corpus_digest": done.corpus.digest}
        return Report(output=url, tables={"touched": _table(touched)}, tags=tags, notes=tuple(notes))


def _holds_answers(place: str, context: Context) -> bool:
    """Whether a place that was recorded, maybe long ago, still holds predictions."""
    try:
        return storage.exists(storage.join(place, commit.MANIFEST))
    except OSError as error:
        context.log(f"{place} was recorded and cannot be reached, so it is left: {str(error).splitlines()[0]}")
        return False


def _from_corpus(url: str, ids: Ids) -> _Done:
    """Take the records out of the corpus; the caller has claimed it."""
    manifest = Manifest.read(url)
    assert manifest.corpus is not None
    before = manifest.corpus
    manifest.sweep(before)
    commit.sweep(url)
    hits = shards.holding(url, before, ids)
    found = frozenset(id_ for hit in hits for id_ in hit.ids)
    buried = before.forgotten or Tombstones(secrets.token_hex(16))
    unknown = [id_ for id_, known in zip(ids.lines, buried.holds(ids.lines), strict=True) if not known]
    after = _rewritten(manifest, before, hits, buried.add(found), ids) if hits else before
    touched = [Touched(f"{url}/{hit.shard.file}", "records", len(hit.ids)) for hit in hits]
    erased = [erase(storage.join(url, shard.file)) for shard in after.shards if shard.forgotten]
    late = sum(erased) - len(hits)
    notes = [f"{late:,} shards that an earlier attempt had left were deleted"] if late > 0 else []
    if hits and _refers(url, after):
        notes.append("the corpus points at its images: their files are not safelight's, and are still there")
    lines = tuple(ids.lines[id_] for id_ in unknown if id_ not in found)
    return _Done(after, tuple(touched), found, lines, tuple(notes))


def _rewritten(manifest: Manifest, before: Corpus, hits: Sequence[Hit], buried: Tombstones, ids: Ids) -> Corpus:
    """Write what is left of shards, then make it the corpus."""
    numbers, left = next_numbers([shard.file for shard in before.shards]), {}
    for hit in hits:
        split = hit.shard.split
        left[hit.shard.file] = shards.left_of(
            manifest.url, hit, f"{split}/part-{numbers.setdefault(split, 0):05d}.parquet", ids
        )
        numbers[split] += left[hit.shard.file] is not None
    after = replace(before.without(left, buried), notes=tuple(map(ids.scrubbed, before.notes)))
    storage.replace(storage.join(manifest.url, NAME), after.to_json().encode(), manifest.token)
    return after


def _refers(url: str, corpus: Corpus) -> bool:
    present = corpus.present()
    return bool(present) and "image" not in shard_schema(storage.join(url, present[0].file)).names


def _unknown(file: str, lines: Sequence[int]) -> str:
    """Ids that are nowhere, by where they stand: a report about forgetting names none."""
    named = ", ".join(map(str, lines[:LISTED])) + (", ..." if len(lines) > LISTED else "")
    return f"{len(lines):,} ids were not found (line {named} of {file})"


def _table(touched: Sequence[Touched]) -> pa.Table:
    return pa.table(
        {
            "place": pa.array([one.place for one in touched], pa.string()),
            "what": pa.array([one.what for one in touched], pa.string()),
            "rows": pa.array([one.rows for one in touched], pa.int64()),
        }
    )
