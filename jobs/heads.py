"""A head on stored embeddings: `predict --embedding LAYER` sees the pictures once, and any number of heads learn then.

What comes out is a model: the body that made the embeddings, up to their layer, with the new head behind it; `predict`
and `evaluate` take it as any other. The examples are held in memory, 4 bytes a number: a million photos of 512 numbers
take 2 GB. What is learned is the room's affair, so this job never asks which task it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from jobs import storage
from jobs.answers import batch_of
from jobs.embeddings import Embeddings, with_answers
from jobs.examples import examples
from jobs.lesson import Learning
from jobs.records import Reads
from jobs.spec import Context, JobFailed, Plain, Report, SpecError
from vision import intervals, names
from vision.accumulator import Array, Estimate, Suite

if TYPE_CHECKING:
    from jobs.training.rows import Objective
    from vision.model import Model

_BATCH = 256


class Heads(Learning):
    """Fit a head to stored embeddings, and make a model of it with the body that they come from."""

    model: str = Field(description="the model whose embeddings they are: models:/NAME@ALIAS, a folder, a dotted name")
    train_predictions: str = Field(description="predictions with embeddings to learn from (predict --embedding LAYER)")
    test_predictions: str | None = Field(None, description="predictions with the same embeddings, to be scored on")
    output: str = Field(description="folder or URL of the model that comes out")
    register_as: str | None = Field(None, alias="register", description="NAME[@ALIAS] in MLflow's registry")
    width: int = Field(0, ge=0, description="units of a hidden layer of the head; 0: none, the head is linear")
    epochs: int = Field(20, ge=1, description="times that every embedding is seen")
    batch_size: int = Field(256, ge=1, description="embeddings of a step")
    learning_rate: float = Field(1e-2, gt=0, description="at its highest; it falls along a cosine")
    weight_decay: float = Field(1e-4, ge=0, description="of weights, decoupled from the rate (AdamW)")
    seed: int = Field(0, description="of the order of the embeddings and of --sample")

    def run(self, context: Context | None = None) -> Report:
        """Fit.

        Raises:
            SpecError: if a field does not fit, or the embeddings are not the model's.
            JobFailed: if there is nothing to learn from, or the output holds another model.
        """
        import torch

        from jobs.training.ending import to_register, write_model
        from vision.heads import fit

        # A second thread would fight with whatever else runs here.
        torch.set_num_threads(1)
        context = context or Plain()
        output = storage.absolute(self.output)
        if self.register_as and storage.is_s3(output):
            raise SpecError("register: a model on S3 cannot be registered; write it to a local --output")
        body, train, test = self._read(context)
        objective = self.objective(train.answers.corpus)
        features, targets = _pool(train, objective)
        curve: list[dict[str, float]] = []
        asked = {name: getattr(self, name) for name in ("width", "epochs", "batch_size", "learning_rate", "seed")}
        try:
            objective.check(objective.census(targets))
            head = fit(
                features, targets, objective, objective.outputs, **asked, weight_decay=self.weight_decay,
                say=lambda epoch, values: curve.append({"epoch": epoch, **values}),
            )  # fmt: skip
            model, state = self._joined(body, train.layer, features.shape[1], objective, head)
        except ValueError as error:
            raise SpecError(str(error)) from None
        saved = write_model(model, state, output)
        context.log(f"a head of {objective.outputs:,} outputs on {len(features):,} embeddings of {train.layer}")
        tags = {**train.answers.tags, "model_digest": saved.digest, "body_digest": body.digest, "layer": train.layer}
        if self.register_as:
            tags["registered"] = context.register(to_register(output), self.register_as)
        learned = {f"train_{name}": _share(curve[-1][name], len(features)) for name in objective.measured}
        tables = {"curve": pa.Table.from_pylist(curve)}
        if test is None:
            return Report(learned, (), output, 0, tables, tags)
        return self._scored(test, objective, head, Report(learned, (), output, 0, tables, tags))

    def _read(self, context: Context) -> tuple[Model, Embeddings, Embeddings | None]:
        """The body, and embeddings that it made."""
        for name in ("corpus", "split"):
            if getattr(self, name) is not None:
                raise SpecError(f"{name}: heads read the corpus and split that their predictions name")
        body = context.model(self.model)
        subset = {name: getattr(self, name) for name in Reads.model_fields}
        train = Embeddings.of(self.train_predictions, subset, "train_predictions", ())
        test = None
        if self.test_predictions is not None:
            test = Embeddings.of(self.test_predictions, subset, "test_predictions", ())
        for field, held in (("train_predictions", train), ("test_predictions", test or train)):
            ours = f"layer {held.layer} of model {held.model[:12]}"
            if held.model != body.digest:
                raise SpecError(f"{field}: embeddings of {ours}, and --model is {body.digest[:12]}")
            if held.layer != train.layer:
                raise SpecError(f"{field}: embeddings of {ours}, and those learnt from are of layer {train.layer}")
        if test and (test.answers.tags["corpus"], test.answers.tags["split"]) == (
            train.answers.tags["corpus"], train.answers.tags["split"],
        ):  # fmt: skip
            raise SpecError("test_predictions: the same records as train_predictions")
        return body, train, test

    def _joined(
        self, body: Model, layer: str, features: int, objective: Objective, head: Any
    ) -> tuple[Model, dict[str, Any]]:
        """The model of body and head, and its weights."""
        arguments: dict[str, Any] = {
            "net": body.net, "layer": layer, "features": features, "classes": objective.outputs, "width": self.width,
            "arguments": dict(body.arguments),
        }  # fmt: skip
        model = replace(
            body, net="nets.headed:headed", arguments=arguments, weights="", folder=None, task=self.task,
            classes=objective.names, decoding=objective.decoding,
        )  # fmt: skip
        kept = names.net(model.net, arguments).state_dict().keys()
        whole = {f"body.{name}": tensor for name, tensor in body.build().state_dict().items()}
        whole |= {f"head.{name}": tensor for name, tensor in head.state_dict().items()}
        return model, {name: whole[name] for name in kept}

    def _scored(self, test: Embeddings, objective: Objective, head: Any, learned: Report) -> Report:
        """The report with the head's answers to other embeddings, scored as those of any model are."""
        room = names.room(self.task)
        together: Any = Suite((room.suite(test.answers.corpus), room.worst(test.answers.corpus)))
        errors = 0
        for table in _answered(test, objective, head):
            together = together.update(batch_of(table))
            errors += len(table) - pc.sum(table["answered"]).as_py()
        suite, worst = together.states
        return replace(
            learned, metrics={**suite.compute(), **learned.metrics}, errors=errors,
            tables={**learned.tables, **suite.tables()}, examples=examples(test.answers, worst.notable()),
        )  # fmt: skip


def _pool(train: Embeddings, objective: Objective) -> tuple[Array, Array]:
    """(N, D) features and (N, ...) targets in the order of the records' ids, whatever the shards."""
    ids: list[str] = []
    features, targets = [], []
    try:
        for table, vectors in train.tables():
            answered = table.filter(table["answered"])
            ids += answered["id"].to_pylist()
            features.append(vectors)
            targets.append(objective.targets(answered))
    except KeyError as error:
        raise SpecError(f"{train.answers.corpus.name} has no column {error}") from None
    if not ids:
        raise JobFailed(f"{train.answers.output} has no record with an embedding")
    order = np.array(pc.sort_indices(pa.array(ids, pa.string())), np.int64)
    return np.concatenate([one for one in features if len(one)])[order], np.concatenate(targets)[order]


def _answered(test: Embeddings, objective: Objective, head: Any) -> Iterator[pa.Table]:
    """Records with the head's answers beside them."""
    import torch

    for table, vectors in test.tables():
        targets = objective.targets(table.filter(table["answered"]))
        parts = []
        for start in range(0, max(len(vectors), 1), _BATCH):
            here = slice(start, start + _BATCH)
            inputs = torch.tensor(vectors[here].reshape(-1, head[0].in_features))
            parts.append(objective.answers(head(inputs), targets[here]))
        columns = {name: pa.concat_arrays([part[name] for part in parts]) for name in parts[0]}
        yield with_answers(table, columns)


def _share(value: float, count: int) -> Estimate:
    low, high = intervals.wilson(round(value * count), count)
    return Estimate(value, low, high, count)
