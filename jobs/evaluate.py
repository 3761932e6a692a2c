"""A model, its predictions or a table of answers, scored: every metric with its interval, and by group.

With a model this is `predict` followed by a fold over its output; predictions that are there already are not made
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from jobs import flow, storage
from jobs.answers import Answers, from_table
from jobs.engine import commit
from jobs.engine.run import errors_in
from jobs.examples import examples
from jobs.records import open_corpus
from jobs.spec import Context, Plain, Report, SpecError
from vision import names
from vision.accumulator import Accumulator, ByGroup, Suite


class Evaluate(flow.Predicts):
    """Score a model on one split of a corpus."""

    model: str | None = Field(None, description="models:/NAME@ALIAS, a model folder, or a name such as nets.resnet:x")
    predictions: str | None = Field(None, description="predictions to score, in place of --model")
    table: str | None = Field(None, description="CSV, TSV or Parquet of answers from elsewhere, in place of --model")
    columns: tuple[str, ...] = Field((), description="with --table: role=name,... such as truth=y,prediction=p")
    task: str | None = Field(None, description="the room whose metrics apply; default: the model's")
    by: tuple[str, ...] = Field((), description="columns to break every metric down by")
    order: int = Field(1, ge=1, le=4, description="break down by combinations of up to this many columns")

    def estimate(self, context: Context) -> Mapping[str, str]:
        return {} if self.model is None else flow.estimate(flow.read(self), context.model(self.model), self)

    def run(self, context: Context | None = None) -> Report:
        context = context or Plain()
        given = [name for name in ("model", "predictions", "table") if getattr(self, name) is not None]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise SpecError(f"evaluate takes one of --model, --predictions and --table, got {got}")
        task, errors, tables = self.task or "classification", 0, {}
        if self.model is not None:
            model = context.model(self.model)
            task = self.task or model.task
            answers, tally = flow.apply(flow.read(self), model, self, context)
            errors = tally.errors
            if errors:
                tables["errors"] = errors_in(answers.output, tally.receipts)
        else:
            answers = self.answers()
        answers.check_columns(self.by, "by")
        return _report(answers, task, self.by, self.order, errors, tables)

    def answers(self) -> Answers:
        """The answers that are there already.

        Raises:
            SpecError: if they are not.
        """
        if self.table is not None:
            return from_table(self.table, self.columns)
        output = storage.absolute(self.predictions or self.output or "")
        identity = commit.read_manifest(output)["identity"]
        url, version = identity["corpus"], identity["corpus_version"]
        corpus = self.corpus or (f"{url}@{version}" if open_corpus(url)[1].version != version else url)
        chosen = self.model_copy(update={"corpus": corpus, "split": self.split or identity["split"]})
        return Answers.of(output, flow.read(chosen))


def _report(
    answers: Answers, task: str, by: tuple[str, ...], order: int, errors: int, tables: dict[str, Any]
) -> Report:
    room = names.room(task)
    suite, worst = room.suite(answers.corpus), room.worst(answers.corpus)
    states: list[Accumulator] = [suite, worst, *([ByGroup(suite, by, order)] if by else [])]
    overall, worst, *broken_down = flow.fold(answers, Suite(tuple(states))).states
    cells = broken_down[0].groups() if broken_down else []
    return Report(
        metrics=overall.compute(),
        groups=tuple((dict(cell), state.compute()) for cell, state in cells),
        output=answers.output,
        errors=errors,
        tables={**tables, **overall.tables()},
        tags=answers.tags,
        examples=examples(answers, worst.notable()),
    )
