"""Photos placed where photos are that look alike: neighbours among stored embeddings, as im2gps does it.

`predict --embedding LAYER` makes the table of references once, by any net or by im2gps's own descriptors
(`geolocation.described:descriptors`). References pass by shard after shard and only the queries are held in memory,
4 bytes a number, with their k neighbours so far, 32 bytes each: 100,000 queries of 512 numbers and k = 120 take 600 MB,
however many references there are. What comes out are predictions like any others, to be scored, compared and duelled.

Reference: Hays & Efros, "IM2GPS", CVPR 2008; Vo, Jacobs & Hays, "Revisiting IM2GPS", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from jobs import derived, records, storage
from jobs.embeddings import Embeddings
from jobs.engine import commit
from jobs.records import Reads
from jobs.spec import Context, JobFailed, Plain, Report, SpecError
from vision import draws
from vision.accumulator import Array

if TYPE_CHECKING:
    from vision.geolocation.im2gps import Reading
    from vision.geolocation.neighbours import Neighbours

_TASK = "geolocation"
_A_LIST = 64
"""References that an inverted list's middle is learnt from, for each list."""


class Im2gps(Reads):
    """Place photos where the photos are that look most like them."""

    train_predictions: str = Field(description="predictions with embeddings of photos whose places are known")
    test_predictions: str = Field(description="predictions with embeddings of the same layer, of photos to be placed")
    output: str = Field(description="folder or URL of the predictions")
    k: int = Field(120, ge=1, description="neighbours of each photo")
    by: Literal["first", "density", "mean-shift"] = Field(
        "density", description="the nearest one's place, the densest place, or the largest mode of a mean shift"
    )
    sigma_degrees: float = Field(4.0, gt=0, description="density: width of its kernel")
    bandwidth_km: float = Field(200.0, gt=0, description="mean-shift: width of its kernel")
    lists: int = Field(0, ge=0, description="inverted lists of the references; 0: every one is looked at")
    probes: int = Field(32, ge=1, description="with --lists: lists that are looked at for each photo")
    seed: int = Field(0, description="of the lists' middles, and of --sample")

    def run(self, context: Context | None = None) -> Report:
        """Search, and write the answers.

        Raises:
            SpecError: if a field does not fit, or the output holds something else.
            JobFailed: if there are no references.
        """
        from vision.geolocation.im2gps import Reading

        context, output = context or Plain(), storage.absolute(self.output)
        train, test = self._pair()
        try:
            reading = Reading(self.by, self.sigma_degrees, bandwidth_km=self.bandwidth_km)
            with storage.claim(output):
                identity = self._identity(train, test, reading)
                commit.begin(output, identity, None)
                tables = [(table.select(["id", "answered"]), vectors) for table, vectors in test.tables()]
                found, references = self._found(train, _queries(test, tables))
                context.log(f"{len(found.keys):,} photos among {references:,} references")
                derived.write(output, identity, test.answers, _answers(test, tables, found, reading(found)))
        except ValueError as error:
            raise error if isinstance(error, SpecError) else SpecError(str(error)) from None
        return self._scored(context, output, test, references)

    def _pair(self) -> tuple[Embeddings, Embeddings]:
        for name in ("corpus", "split"):
            if getattr(self, name) is not None:
                raise SpecError(f"{name}: im2gps reads the corpus and split that its predictions name")
        subset = {name: getattr(self, name) for name in Reads.model_fields}
        train = Embeddings.of(self.train_predictions, subset, "train_predictions", ("latitude", "longitude"))
        test = Embeddings.of(self.test_predictions, subset, "test_predictions", ())
        if (train.layer, train.model) != (test.layer, test.model):
            ours, theirs = (f"layer {one.layer} of model {one.model[:12]}" for one in (test, train))
            raise SpecError(f"test_predictions: embeddings are {ours}, and those of the references {theirs}")
        if all(train.answers.tags[name] == test.answers.tags[name] for name in ("corpus", "split")):
            raise SpecError("test_predictions: the same records as train_predictions")
        return train, test

    def _identity(self, train: Embeddings, test: Embeddings, reading: Reading) -> dict[str, Any]:
        """What decides the answers: the queries', but for what answers them."""
        queries = commit.read_manifest(test.answers.output)["identity"]
        # `seed` is what a sample is drawn by, where there is one.
        asked = {"k": self.k, "lists": self.lists, "probes": self.probes, "lists_seed": self.seed}
        ours = {**asked, **asdict(reading), "references": commit.digest(commit.read_manifest(train.answers.output))}
        kept = {name: value for name, value in queries.items() if name != "embedding"}
        mark = commit.digest({**ours, "model": test.model, "layer": test.layer})
        return {**kept, "model": mark, "net": "im2gps", "task": _TASK, "layer": test.layer, **records.key(self), **ours}

    def _found(self, train: Embeddings, queries: Array) -> tuple[Neighbours, int]:
        """The neighbours of all queries, and how many references there were."""
        from vision.geolocation.neighbours import Neighbours, inverted, search

        found, count = Neighbours.none(len(queries), self.k), 0
        index = inverted(self._sample(train), self.lists, self.probes, self.seed) if self.lists else None
        for keys, places, vectors in _references(train):
            found = found.merge(search(queries, vectors, places, keys, self.k, index))
            count += len(keys)
        if not count:
            raise JobFailed(f"{train.answers.output} has no photo with a place and an embedding")
        return found, count

    def _sample(self, train: Embeddings) -> Array:
        """(N, D) references with the lowest keys: the same whatever the shards."""
        keys, kept = np.empty(0, np.uint64), _NONE
        for more, _, vectors in _references(train):
            keys = np.concatenate([keys, more])
            kept = np.concatenate([kept, vectors]) if len(kept) else vectors
            lowest = np.argsort(keys, kind="stable")[: _A_LIST * self.lists]
            keys, kept = keys[lowest], kept[lowest]
        return kept

    def _scored(self, context: Context, output: str, test: Embeddings, references: int) -> Report:
        from dataclasses import replace

        from jobs.evaluate import Evaluate

        tags = {**test.answers.tags, "layer": test.layer, "references": str(references)}
        if not {"latitude", "longitude"} <= set(test.answers.corpus.columns):
            return Report(output=output, tags=tags)
        report = Evaluate(predictions=output, task=_TASK).run(context)
        return replace(report, tags={**report.tags, **tags})


_NONE: Array = np.empty((0, 1), np.float32)


def _queries(test: Embeddings, tables: list[tuple[pa.Table, Array]]) -> Array:
    """(Q, D) features of the photos to be placed.

    Raises:
        JobFailed: if there are none.
    """
    some = [vectors for _, vectors in tables if len(vectors)]
    if not some:
        raise JobFailed(f"{test.answers.output} has no photo with an embedding")
    return np.concatenate(some)


def _references(train: Embeddings) -> Iterator[tuple[Array, Array, Array]]:
    """By shard: keys (N,), places (N, 2) and features (N, D) of photos that have both."""
    for table, vectors in train.tables():
        answered = table.filter(table["answered"])
        places = np.stack([
            np.asarray(answered[name].cast(pa.float64()).to_numpy(), np.float64) for name in ("latitude", "longitude")
        ], axis=1)  # fmt: skip
        known = np.isfinite(places).all(axis=1)
        if known.any():
            yield draws.keys_of(answered["id"].to_pylist())[known], places[known], vectors[known]


def _answers(
    test: Embeddings, tables: list[tuple[pa.Table, Array]], found: Neighbours, places: Array
) -> Iterator[tuple[str, pa.Table]]:
    """Answers shard by shard, as the queries have them: a place, and how far in features the nearest photo is."""
    start = 0
    for file, (table, vectors) in zip(test.answers.shards, tables, strict=True):
        here = slice(start, start + len(vectors))
        start += len(vectors)
        columns = {
            "latitude": places[here, 0], "longitude": places[here, 1],
            "distance": found.distances[here, 0].astype(np.float32),
        }  # fmt: skip
        answered = np.asarray(table["answered"].to_numpy(), bool)
        take = pa.array(np.cumsum(answered) - 1, mask=~answered)
        yield file, pa.table({
            "id": table["id"],
            **{name: pa.array(values, from_pandas=True).take(take) for name, values in columns.items()},
            "error": pa.array([None if good else "no embedding" for good in answered], pa.string()),
        })  # fmt: skip
