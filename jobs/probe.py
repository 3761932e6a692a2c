"""Features put to the question: probes on embeddings, scored as models are, and few-shot curves.

`predict --embedding LAYER` makes a table of embeddings once; any number of probes read it without the model. The
examples (`train_predictions`) are held in memory, 4 bytes a number: 1.28 million of 2,048 take 10.5 GB. The tested
ones pass by shard after shard, once for all probes together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from jobs.answers import batch_of
from jobs.embeddings import Embeddings, Examples, with_answers
from jobs.examples import examples
from jobs.reading import PREDICTED
from jobs.records import Reads
from jobs.spec import Context, JobFailed, Plain, Report, SpecError
from vision import names
from vision.accumulator import Accumulator, Array, ByGroup, Suite
from vision.classification import probe as probing
from vision.classification.neighbours import fit_neighbours
from vision.classification.probe import Linear, Scale, fit_linear
from vision.classification.shots import ShotCurve, check_enough, ranks

_ARRIVED = 1e-4  # the steepest slope at which a fit has come to its minimum
_FEW_SHOT = (
    "few-shot intervals are t intervals over draws of the labelled examples: they cover who was drawn from these "
    "examples, not which images were tested"
)


class Probe(Reads):
    """Fit a linear or kNN probe on embeddings and score it on others; also from few examples a class."""

    train_predictions: str = Field(description="predictions with embeddings to learn from (predict --embedding LAYER)")
    test_predictions: str = Field(description="predictions with embeddings of the same layer, to be scored on")
    kind: Literal["linear", "knn"] = Field("linear", description="softmax regression, or the k nearest examples")
    k: int = Field(5, ge=1, description="kNN: examples that vote; in a few-shot draw, no more than its shots")
    distance: Literal["cosine", "euclidean"] = Field("cosine", description="kNN: what is near")
    l2: float = Field(0.1, gt=0, description="linear: penalty on squared weights of standardised features")
    shots: tuple[int, ...] = Field((), description="few-shot curve: examples a class, such as 1,2,5,6,10")
    draws: int = Field(20, ge=1, description="few-shot draws for each number of shots")
    seed: int = Field(0, description="seed of few-shot draws, and of --sample")
    by: tuple[str, ...] = Field((), description="columns to break every metric down by")
    order: int = Field(1, ge=1, le=4, description="break down by combinations of up to this many columns")

    @field_validator("shots")
    @classmethod
    def _ascending(cls, shots: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 1 for count in shots):
            raise ValueError("numbers of examples, each at least 1")
        return tuple(sorted(set(shots)))

    def run(self, context: Context | None = None) -> Report:
        train, test = self._pair()
        pool = train.examples()
        classes = _classes(train, pool)
        try:
            if self.shots:
                check_enough(pool.labels, self.shots, train.answers.corpus.classes)
            scale = Scale.of(pool.features)
            whole = self._fitted(pool.features, pool.labels, classes, scale, self.k)
            few = self._few(pool, classes, scale)
        except ValueError as error:
            raise SpecError(str(error)) from None
        (context or Plain()).log(f"fitted {1 + sum(map(len, few)):,} probes on {len(pool.ids):,} examples")
        return self._scored(train, test, pool, whole, few)

    def _pair(self) -> tuple[Embeddings, Embeddings]:
        """Examples and tests: of one layer of one model, and no record in both."""
        if self.split is not None or self.corpus is not None:
            name = "split" if self.split is not None else "corpus"
            raise SpecError(f"{name}: a probe reads the corpus and split that its predictions name")
        subset = {name: getattr(self, name) for name in Reads.model_fields}
        train = Embeddings.of(self.train_predictions, subset, "train_predictions")
        test = Embeddings.of(self.test_predictions, subset, "test_predictions")
        if train.layer != test.layer or train.model != test.model:
            ours, theirs = (f"layer {one.layer} of model {one.model[:12]}" for one in (test, train))
            raise SpecError(f"test_predictions: embeddings are {ours}, and those to learn from {theirs}")
        tags = [(one.answers.tags["corpus"], one.answers.tags["split"]) for one in (train, test)]
        if tags[0] == tags[1]:
            raise SpecError(f"test_predictions: the same records, split {tags[0][1]}, as train_predictions")
        if train.answers.corpus.classes != test.answers.corpus.classes:
            raise SpecError("test_predictions: the corpus has other classes than that of train_predictions")
        return train, test

    def _fitted(self, features: Array, labels: Array, classes: int, scale: Scale, k: int) -> probing.Probe:
        if self.kind == "knn":
            return fit_neighbours(features, labels, classes, k, self.distance)
        return fit_linear(features, labels, classes, self.l2, scale)

    def _few(self, pool: Examples, classes: int, scale: Scale) -> list[list[probing.Probe]]:
        """A probe for each number of shots and draw; features are standardised as the pool's, which needs no label."""
        places = [ranks(pool.ids, pool.labels, self.seed, draw) for draw in range(self.draws)] if self.shots else []

        def fitted(shots: int, place: Array) -> probing.Probe:
            rows = np.flatnonzero(place < shots)
            return self._fitted(pool.features[rows], pool.labels[rows], classes, scale, min(self.k, shots))

        return [[fitted(shots, place) for place in places] for shots in self.shots]

    def _scored(
        self, train: Embeddings, test: Embeddings, pool: Examples, whole: probing.Probe, few: list[list[probing.Probe]]
    ) -> Report:
        """The report on all probes, after one pass over the tested records."""
        test.answers.check_columns(self.by, "by")
        room = names.room("classification")
        suite, worst = room.suite(test.answers.corpus), room.worst(test.answers.corpus)
        states: list[Accumulator] = [suite, worst, *([ByGroup(suite, self.by, self.order)] if self.by else [])]
        together: Any = Suite(tuple(states))
        curve, errors = ShotCurve.zero(self.shots, self.draws), 0
        for table, features in test.tables():
            _check_width(features, pool.features)
            together = together.update(batch_of(_answered(table, features, whole)))
            curve = _shown(curve, table, features, few)
            errors += len(table) - len(features)
        overall, worst, *broken_down = together.states
        cells = broken_down[0].groups() if broken_down else []
        return Report(
            metrics={**overall.compute(), **curve.compute()},
            groups=tuple((dict(cell), state.compute()) for cell, state in cells),
            errors=errors,
            tables={**curve.tables(), **overall.tables()},
            tags=self._tags(train, test, pool),
            examples=examples(test.answers, worst.notable()),
            notes=tuple(self._notes(train, pool, [whole, *(probe for row in few for probe in row)])),
        )

    def _tags(self, train: Embeddings, test: Embeddings, pool: Examples) -> dict[str, str]:
        return {
            **test.answers.tags,
            "embedding": test.layer,
            "embedding_size": str(pool.features.shape[1]),
            "train_corpus": train.answers.tags["corpus"],
            "train_corpus_digest": train.answers.tags["corpus_digest"],
            "train_split": train.answers.tags["split"],
            "train_examples": str(len(pool.ids)),
        }

    def _notes(self, train: Embeddings, pool: Examples, probes: Sequence[probing.Probe]) -> list[str]:
        """What a reader of the numbers must know."""
        notes = [_FEW_SHOT] if self.shots else []
        if pool.lost:
            notes.append(f"records to learn from that lack a label or an embedding, and were left out: {pool.lost:,}")
        unseen = sorted(set(range(len(train.answers.corpus.classes or ()))) - set(pool.labels.tolist()))
        if unseen:
            named = ", ".join(str((train.answers.corpus.classes or ())[label]) for label in unseen[:5])
            more = f" and {len(unseen) - 5:,} more" if len(unseen) > 5 else ""
            notes.append(f"without a labelled example, so never answered: {named}{more}")
        short = sum(isinstance(probe, Linear) and probe.steepest > _ARRIVED for probe in probes)
        if short:
            notes.append(f"fits that ended before their minimum: {short:,} of {len(probes):,}; a larger --l2 is easier")
        return notes


def _classes(train: Embeddings, pool: Examples) -> int:
    return max(len(train.answers.corpus.classes or ()), int(pool.labels.max()) + 1)


def _check_width(features: Array, learnt: Array) -> None:
    if len(features) and features.shape[1] != learnt.shape[1]:
        raise JobFailed(f"embeddings have {features.shape[1]} numbers, and those learnt from {learnt.shape[1]}")


def _answered(table: pa.Table, features: Array, probe: probing.Probe) -> pa.Table:
    """Records with a probe's answers beside them; null where there is no embedding."""
    answered = np.asarray(table["answered"].to_numpy(), bool)
    truth = np.asarray(table["label"].fill_null(-1).to_numpy(), np.int64)
    columns: dict[str, Any] = {}
    if len(features):
        columns = probing.answers(probe(features), truth[answered])
    table = with_answers(table, columns)
    if not columns:
        table = table.append_column(PREDICTED + "label", pa.nulls(len(table), pa.int32()))
    return table


def _shown(curve: ShotCurve, table: pa.Table, features: Array, few: list[list[probing.Probe]]) -> ShotCurve:
    """The curve with the right answers of one shard."""
    truth = np.asarray(table["label"].filter(table["answered"]).fill_null(-1).to_numpy(), np.int64)
    known = truth >= 0
    if not few or not known.any():
        return curve
    hits = [[int((probe(features[known]).argmax(axis=1) == truth[known]).sum()) for probe in row] for row in few]
    return curve.add(np.array(hits, np.int64), int(known.sum()))
