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

from jobs import derived, incells, records, storage
from jobs.answers import Answers
from jobs.embeddings import Embeddings
from jobs.engine import commit
from jobs.incells import Named
from jobs.records import Reads
from jobs.spec import Context, JobFailed, Plain, Report, SpecError
from vision import draws, sphere
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
    by: Literal["first", "density", "mean-shift", "cells"] = Field(
        "density",
        description="the nearest one's place; the densest place; the largest mode of a mean shift; cells: the nearest "
        "one in the best cells of a net",
    )
    answers: str | None = Field(None, description="cells: a net's predictions for the photos to be placed")
    temperature: float = Field(1.6, gt=0, description="cells: how little a nearer photo counts for its cell")
    limit_km: float = Field(1000.0, gt=0, description="cells: no answer is further from the net's own")
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
        context, output = context or Plain(), storage.absolute(self.output)
        train, test = self._pair()
        net = self._net(test)
        try:
            how = self._how(net)
            with storage.claim(output):
                identity = self._identity(train, test, how)
                commit.begin(output, identity, None)
                tables = list(test.tables())
                photos = [
                    (file, table.select(["id", "answered"]))
                    for file, (table, _) in zip(test.answers.shards, tables, strict=True)
                ]
                queries = _queries(test, [vectors for _, vectors in tables])
                places, distances, references = self._placed(
                    train, queries, None if net is None else incells.named(net, photos)
                )
                context.log(f"{len(queries):,} photos among {references:,} references")
                answers = derived.by_shard(photos, _columns(places, distances), "no embedding")
                derived.write(output, identity, test.answers, answers)
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

    def _net(self, test: Embeddings) -> Answers | None:
        """The predictions whose cells are searched."""
        if (self.by == "cells") == (self.answers is None):
            raise SpecError("answers: what --by cells searches the cells of, and only that: give both or neither")
        subset = {name: getattr(self, name) for name in Reads.model_fields}
        return None if self.answers is None else incells.of(self.answers, subset, test.answers)

    def _how(self, net: Answers | None) -> dict[str, Any]:
        """What decides the answers besides the photos and their neighbours."""
        if net is not None:
            asked = {"by": self.by, "temperature": self.temperature, "limit_km": self.limit_km}
            return {**asked, "answers_of": commit.digest(commit.read_manifest(net.output))}
        return asdict(self._reading())

    def _reading(self) -> Reading:
        from vision.geolocation.im2gps import Reading

        assert self.by != "cells"
        return Reading(self.by, self.sigma_degrees, bandwidth_km=self.bandwidth_km)

    def _placed(self, train: Embeddings, queries: Array, named: Named | None) -> tuple[Array, Array, int]:
        """Degrees (Q, 2) of all queries, the distance of the nearest reference (Q,), and how many there were."""
        if named is None:
            found, references = self._found(train, queries)
            return self._reading()(found), found.distances[:, 0], references
        places, distances, references = named.search(queries, _references(train), self.temperature, self.limit_km)
        if not references:
            raise JobFailed(f"{train.answers.output} has no photo with a place and an embedding")
        return places, distances, references

    def _identity(self, train: Embeddings, test: Embeddings, how: dict[str, Any]) -> dict[str, Any]:
        """What decides the answers: the queries', but for what answers them."""
        queries = commit.read_manifest(test.answers.output)["identity"]
        # `seed` is what a sample is drawn by, where there is one.
        asked = {"k": self.k, "lists": self.lists, "probes": self.probes, "lists_seed": self.seed}
        ours = {**asked, **how, "references": commit.digest(commit.read_manifest(train.answers.output))}
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


def _queries(test: Embeddings, vectors: list[Array]) -> Array:
    """(Q, D) features of the photos to be placed.

    Raises:
        JobFailed: if there are none.
    """
    some = [one for one in vectors if len(one)]
    if not some:
        raise JobFailed(f"{test.answers.output} has no photo with an embedding")
    return np.concatenate(some)


def _references(train: Embeddings) -> Iterator[tuple[Array, Array, Array]]:
    """By shard: keys (N,), places (N, 2) and features (N, D) of photos that have both."""
    for table, vectors in train.tables():
        answered = table.filter(table["answered"])
        places = sphere.places(answered)
        known = np.isfinite(places).all(axis=1)
        if known.any():
            yield draws.keys_of(answered["id"].to_pylist())[known], places[known], vectors[known]


def _columns(places: Array, distances: Array) -> dict[str, pa.Array]:
    """A place, and how far in features the nearest photo is."""
    values = {"latitude": places[:, 0], "longitude": places[:, 1], "distance": distances.astype(np.float32)}
    return {name: pa.array(column, from_pandas=True) for name, column in values.items()}
