"""Bulk inference: shards in, prediction shards out, by one model or several in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import Field

from jobs import flow
from jobs.asking import Predicting
from jobs.engine.run import errors_in
from jobs.records import CORPUS
from jobs.spec import Context, Plain, Report
from jobs.together import only, together
from vision.model import Model


class Predict(Predicting):
    """Answer every record of a split with a model, each exactly once."""

    corpus: str = Field(description=CORPUS)
    model: tuple[str, ...] = Field(min_length=1, description=Predicting.model_fields["model"].description)
    output: str = Field(description=Predicting.model_fields["output"].description)

    def estimate(self, context: Context) -> Mapping[str, str]:
        part = self.parts()[0]
        return flow.estimate(flow.read(part), context.model(part.model[0]), part)

    def run(self, context: Context | None = None) -> Report:
        return only(self, context or Plain())

    @classmethod
    def run_all(cls, parts: Sequence[Self], contexts: Sequence[Context]) -> list[Report | Exception]:
        return together(parts, contexts, _report)


def _report(_job: Predicting, _model: Model, applied: flow.Applied) -> Report:
    answers, tally = applied.answers, applied.tally
    return Report(
        output=answers.output,
        errors=tally.errors,
        tables={"errors": errors_in(answers.output, tally.receipts)} if tally.errors else {},
        tags={**answers.tags, "images": str(tally.images)},
    )
