"""Jobs that differ in their model only, carried out in one pass over the records: a report for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jobs import flow
from jobs.asking import Predicting
from jobs.flow import Applied
from jobs.spec import Context, JobFailed, Report, SpecError
from vision.model import Model

J = TypeVar("J", bound=Predicting)


def only(job: Predicting, context: Context) -> Report:
    """Run a job of one model.

    Raises:
        SpecError: if it has several: then `run_all` gives a report for each.
    """
    if len(job.parts()) > 1:
        raise SpecError("model: several models give several reports: call run_all(job.parts(), contexts)")
    found = type(job).run_all((job,), (context,))[0]
    if isinstance(found, Exception):
        raise found
    return found


def together(
    parts: Sequence[J], contexts: Sequence[Context], report: Callable[[J, Model, Applied], Report]
) -> list[Report | Exception]:
    """Run jobs that differ in their model only, in one pass; a model that cannot be loaded leaves the others alone."""
    reading = flow.read(parts[0])
    found: dict[int, Report | Exception] = {}
    asked: dict[int, tuple[Model, J, Context]] = {}
    for index, (part, context) in enumerate(zip(parts, contexts, strict=True)):
        try:
            asked[index] = (context.model(part.model[0]), part, context)
        except (ValueError, JobFailed) as error:
            if len(parts) == 1:
                raise
            found[index] = error
    applied = flow.apply_all(reading, list(asked.values())) if asked else []
    for index, one in zip(asked, applied, strict=True):
        model, part, _ = asked[index]
        found[index] = JobFailed(one.failure) if one.failure else report(part, model, one)
    return [found[index] for index in range(len(parts))]
