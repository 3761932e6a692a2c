"""Predictions of several runs averaged, shard by shard: what may be joined, and how a shard is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage
from jobs.answers import Answers
from jobs.engine import commit
from jobs.engine.commit import Receipt, ShardWriter
from jobs.reading import prediction_shard
from jobs.records import SUBSET, Reads, key
from jobs.spec import JobFailed, SpecError
from vision import names
from vision.accumulator import Array
from vision.predictor import beside_errors, labels, vectors

ROWS = 4096
"""Answers that are averaged at once: of 1,000 classes 33 MB for each run."""

_PLACE = ("corpus", "corpus_version", "split")
_LATE = ("join_sha256", "on")
"""What labels came from: no part of what the net said."""
_ALIKE = ("task", "split", *(name for name in SUBSET if name not in _LATE))


@dataclass(frozen=True)
class Member:
    """One run's predictions, as their manifest tells."""

    output: str
    identity: Mapping[str, Any]
    classes: tuple[str, ...] | None
    inputs: Mapping[str, str]
    rows: int

    @property
    def task(self) -> str:
        return str(self.identity["task"])

    @property
    def mark(self) -> str:
        """What decides its answers, wherever the corpus lies."""
        return commit.digest({name: value for name, value in self.identity.items() if name not in _PLACE})


def members(folders: Sequence[str]) -> list[Member]:
    """The runs in folders of predictions.

    Raises:
        SpecError: if one kept no logits, two are one, or they answer other records, classes or tasks.
        JobFailed: if one is not complete.
    """
    found = [_member(storage.absolute(folder)) for folder in folders]
    first = found[0]
    for other in found[1:]:
        _check_alike(first, other)
    if not hasattr(names.room(first.task), "averaged"):
        raise SpecError(f"predictions: answers of the task {first.task} have no mean")
    marks = [member.mark for member in found]
    for index, mark in enumerate(marks):
        if mark in marks[:index]:
            twins = f"{found[marks.index(mark)].output} and {found[index].output}"
            raise SpecError(f"predictions: {twins} are one model asked in one way: its answers would count twice")
    return found


def _member(folder: str) -> Member:
    manifest = commit.read_manifest(folder)
    identity = manifest["identity"]
    if not manifest["complete"]:
        raise JobFailed(f"{folder} is not complete: run the same predict again to finish it")
    if not identity.get("keep_logits"):
        raise SpecError(f"predictions: {folder} holds no logits; make it with `safelight run predict --keep-logits`")
    classes = None if manifest["classes"] is None else tuple(manifest["classes"])
    inputs = {file: shard["input_sha256"] for file, shard in manifest["shards"].items()}
    return Member(folder, identity, classes, inputs, manifest["rows"])


def ordered(members: Sequence[Member]) -> list[Member]:
    """The runs in one order, however they were named, so that their mean has the same last bit."""
    return sorted(members, key=lambda member: member.mark)


def _check_alike(first: Member, other: Member) -> None:
    for name in _ALIKE:
        ours, theirs = first.identity.get(name), other.identity.get(name)
        if ours != theirs:
            raise SpecError(f"predictions: {name} is {ours!r} in {first.output} and {theirs!r} in {other.output}")
    if first.classes != other.classes:
        raise SpecError(f"predictions: {first.output} and {other.output} answer with different classes")
    for file in sorted({*first.inputs, *other.inputs}):
        if first.inputs.get(file) != other.inputs.get(file):
            raise SpecError(
                f"predictions: {first.output} and {other.output} answer different records: {file} is not the same shard"
            )


def identity(members: Sequence[Member], subset: Reads, *, keep_logits: bool) -> dict[str, Any]:
    """What decides the joint answers; plain values, as a manifest holds them.

    Args:
        members: in any order, which does not matter.
        subset: says what labels are joined.
    """
    members = ordered(members)
    first = members[0].identity
    kept = {name: first[name] for name in ("corpus", "corpus_version", *_ALIKE) if name in first}
    known = ("model", "net", "kernel", "crops", "scales", "dense", "flip")
    return {
        **kept,
        **key(subset),
        **({"keep_logits": True} if keep_logits else {}),
        "model": commit.digest({"mean of": [member.mark for member in members]}),
        "net": f"mean of {len(members)}",
        "kernel": "mean of posteriors 1",
        "members": [{name: member.identity[name] for name in known if name in member.identity} for member in members],
    }


@dataclass(frozen=True)
class Lease:
    """A shard to average, and the mark that the joint one will bear."""

    file: str
    input_sha256: str
    fingerprint: str

    def __str__(self) -> str:
        return self.file


def leases(members: Sequence[Member], said: Mapping[str, Any]) -> list[Lease]:
    """All shards, in order."""
    inputs = members[0].inputs
    return [Lease(file, inputs[file], commit.fingerprint(said, inputs[file])) for file in sorted(inputs)]


class Ensemblist:
    """Averages one shard after the other; built where it works.

    Args:
        outputs: folders of the runs' predictions.
        truth: the answers of any run beside its corpus, for the labels.
    """

    def __init__(self, outputs: tuple[str, ...], output: str, task: str, truth: Answers, keep_logits: bool) -> None:
        self._outputs, self._output, self._truth, self._keep_logits = outputs, output, truth, keep_logits
        self._room = names.room(task)

    def __call__(self, lease: Lease) -> Receipt:
        writer = ShardWriter(storage.join(self._output, lease.file))
        try:
            for table in self._tables(lease.file):
                writer.add(table)
            return writer.commit(Receipt(lease.file, lease.fingerprint, lease.input_sha256))
        finally:
            writer.discard()

    def _tables(self, file: str) -> Iterator[pa.Table]:
        """The joint answers of a shard, some rows at a time."""
        shards = [prediction_shard(folder, file, heavy=True) for folder in self._outputs]
        shards = [shard.select(["id", "logits", "error"]) for shard in shards]
        ids = shards[0]["id"]
        aligned = [self._aligned(shard, ids, file) for shard in shards]
        labels = self._labels(ids, file)
        for start in range(0, max(len(ids), 1), ROWS):
            yield self._joint([shard.slice(start, ROWS) for shard in aligned], labels[start : start + ROWS], file)

    def _aligned(self, shard: pa.Table, ids: pa.ChunkedArray, file: str) -> pa.Table:
        if shard["id"].equals(ids):
            return shard
        places = pc.index_in(ids, value_set=shard["id"].combine_chunks())
        if len(shard) != len(ids) or places.null_count:
            raise JobFailed(f"{file}: the predictions answer different records; run their predict again")
        return shard.take(places)

    def _labels(self, ids: pa.ChunkedArray, file: str) -> Array:
        """(N,) int64 truth of each answer, -1 where there is none."""
        assert self._truth.reading is not None
        records = self._truth.reading.small(file)
        return labels(records.take(pc.index_in(ids, value_set=records["id"].combine_chunks())))

    def _joint(self, shards: Sequence[pa.Table], labels: Array, file: str) -> pa.Table:
        errors = pc.coalesce(*(shard["error"] for shard in shards))
        good = pc.is_null(errors)
        logits = [_matrix(shard["logits"].filter(good)) for shard in shards]
        if len({found.shape for found in logits}) > 1:
            widths = " and ".join(str(found.shape[1]) for found in logits)
            raise JobFailed(f"{file}: the predictions have logits of {widths} classes: they have no mean")
        mean = self._room.averaged(logits)
        columns = self._room.decode(mean, labels[np.asarray(good.to_numpy(), bool)])
        if self._keep_logits:
            columns["logits"] = vectors(mean.astype(np.float32))
        table = beside_errors(columns, errors.to_pylist())
        return table.add_column(0, "id", shards[0]["id"].combine_chunks())


def _matrix(column: pa.ChunkedArray) -> Array:
    """(N, K) float64; (0, 1) where there are none."""
    if not len(column):
        return np.empty((0, 1))
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float64).reshape(len(column), -1)
