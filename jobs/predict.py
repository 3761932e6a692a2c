"""Bulk inference: shards in, prediction shards out."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from jobs import flow
from jobs.engine.run import errors_in
from jobs.records import CORPUS
from jobs.spec import Context, Plain, Report


class Predict(flow.Predicts):
    """Answer every record of a split with a model, each exactly once."""

    corpus: str = Field(description=CORPUS)
    model: str = Field(description="models:/NAME@ALIAS, a model folder, or a name such as nets.resnet:x")
    output: str = Field(description="folder or URL of the predictions")

    def estimate(self, context: Context) -> Mapping[str, str]:
        return flow.estimate(flow.read(self), context.model(self.model), self)

    def run(self, context: Context | None = None) -> Report:
        context = context or Plain()
        model = context.model(self.model)
        answers, tally = flow.apply(flow.read(self), model, self, context)
        return Report(
            output=answers.output,
            errors=tally.errors,
            tables={"errors": errors_in(answers.output, tally.receipts)} if tally.errors else {},
            tags={**answers.tags, "images": str(tally.images)},
        )
