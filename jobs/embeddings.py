"""Embeddings beside what is true of their records: `predict --embedding` kept them, the corpus knows the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.answers import Answers, recorded
from jobs.engine import commit
from jobs.reading import PREDICTED, beside, prediction_shard
from jobs.spec import JobFailed, SpecError
from vision.accumulator import Array

_EMBEDDING = "embedding"


@dataclass(frozen=True)
class Embeddings:
    """A predictions folder with embeddings.

    Attributes:
        answers: the folder beside its corpus.
        layer: the layer whose output they are.
        model: digest of the model.
        needs: columns that records must have.
    """

    answers: Answers
    layer: str
    model: str
    needs: tuple[str, ...] = ("label",)

    @classmethod
    def of(cls, folder: str, subset: Mapping[str, Any], field: str, needs: tuple[str, ...] = ("label",)) -> Embeddings:
        """The embeddings in a folder of predictions.

        Args:
            subset: fields of `Reads` that choose records.
            field: whose value the folder is, for errors.

        Raises:
            SpecError: if the folder holds no embeddings, or its records have no labels.
        """
        answers = recorded(subset, folder)
        identity = commit.read_manifest(answers.output)["identity"]
        if not identity.get(_EMBEDDING):
            raise SpecError(
                f"{field}: {folder} holds no embeddings; make them with `safelight run predict --embedding LAYER`"
            )
        return cls(answers, identity[_EMBEDDING], identity["model"], needs)

    def tables(self) -> Iterator[tuple[pa.Table, Array]]:
        """By shard: records with `answered`, and the (M, D) float32 embeddings of those that are."""
        for file in self.answers.shards:
            assert self.answers.reading is not None
            shard = prediction_shard(self.answers.output, file, heavy=True)
            where = f"{self.answers.output}/{file}"
            if _EMBEDDING not in shard.column_names:
                raise JobFailed(f"{where} has no column {_EMBEDDING}")
            shard = shard.select(["id", _EMBEDDING, "error"])
            table = beside(self.answers.reading.small(file), shard, partial=self.answers.partial, where=where)
            for name in self.needs:
                if name not in table.column_names:
                    what = f"has no {name}s; --join FILE may bring a column `{name}`"
                    raise SpecError(f"{self.answers.corpus.name} {what}")
            vectors = _matrix(table[PREDICTED + _EMBEDDING].filter(table["answered"]), where)
            yield table.drop_columns([PREDICTED + _EMBEDDING]), vectors

    def examples(self) -> Examples:
        """All that were answered and have a label, in the order of their ids."""
        parts, lost = [], 0
        for table, vectors in self.tables():
            answered = table.filter(table["answered"])
            known = np.asarray(answered["label"].is_valid().to_numpy(), bool)
            lost += len(table) - int(known.sum())
            kept = answered.filter(pa.array(known))
            parts.append((kept["id"].to_pylist(), kept["label"].to_numpy().astype(np.int64), vectors[known]))
        ids = [id_ for part, _, _ in parts for id_ in part]
        if not ids:
            raise JobFailed(f"{self.answers.output} has no record with a label and an embedding")
        order = np.array(pc.sort_indices(pa.array(ids, pa.string())), np.int64)
        labels, features = (np.concatenate([part[index] for part in parts])[order] for index in (1, 2))
        return Examples(tuple(ids[place] for place in order), labels, features, lost)


@dataclass(frozen=True, eq=False)
class Examples:
    """What a probe learns from: ids, (N,) int64 labels, (N, D) float32 features, and how many records have no such."""

    ids: tuple[str, ...]
    labels: Array
    features: Array
    lost: int


def with_answers(table: pa.Table, columns: Mapping[str, pa.Array]) -> pa.Table:
    """Records with answers beside them; null where there is no embedding.

    Args:
        table: records with `answered`.
        columns: a row for each that is answered, in order.
    """
    answered = np.asarray(table["answered"].to_numpy(), bool)
    take = pa.array(np.cumsum(answered) - 1, mask=~answered)
    for name, column in columns.items():
        table = table.append_column(PREDICTED + name, column.take(take))
    return table


def _matrix(column: pa.ChunkedArray, where: str) -> Array:
    """(M, D) float32."""
    widths = pc.unique(pc.list_value_length(column)).to_pylist()
    if len(widths) > 1 or widths == [None]:
        raise JobFailed(
            f"{where}: embeddings have {' and '.join(map(str, sorted(map(str, widths))))} numbers, not all as many"
        )
    flat = np.asarray(column.combine_chunks().flatten().to_numpy(zero_copy_only=False), np.float32)
    return flat.reshape(len(column), -1) if len(column) else np.empty((0, 0), np.float32)
