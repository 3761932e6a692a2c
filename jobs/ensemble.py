"""Several runs over the same records as one: the mean of their posteriors, as predictions that any job can read.

What is averaged are whole distributions, so every run must have kept its logits (`predict --keep-logits`). The report
holds the joint answers' metrics, and each run's beside them, image by image.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from pydantic import Field, field_validator

from jobs import ensembling, published, storage
from jobs.answers import Answers
from jobs.asking import title
from jobs.beside import each_beside
from jobs.engine import commit, pool
from jobs.engine.commit import Receipt
from jobs.ensembling import Ensemblist, Member
from jobs.evaluate import Evaluate
from jobs.spec import Context, Job, Plain, Progress, Report
from vision import names


class Ensemble(Job):
    """Average the answers of several runs to the same records, and score them together and each alone."""

    predictions: tuple[str, ...] = Field(description="two or more predictions with logits (predict --keep-logits)")
    output: str = Field(description="folder or URL of the joint predictions")
    keep_logits: bool = Field(False, description="keep the joint answers' logits too, as the column `logits`")
    join: str | None = Field(None, description="CSV, TSV or Parquet of labels and groups that came later")
    on: str = Field("id", description="column that --join matches by")
    by: tuple[str, ...] = Field((), description="columns to break the joint answers' metrics down by")
    order: int = Field(1, ge=1, le=4, description="break down by combinations of up to this many columns")
    reference: str | None = Field(None, description=Evaluate.model_fields["reference"].description)
    workers: int = Field(0, ge=0, description="processes of one core each; 0: this process, without Ray")

    @field_validator("predictions")
    @classmethod
    def _several(cls, predictions: tuple[str, ...]) -> tuple[str, ...]:
        if len(predictions) < 2:
            raise ValueError("two or more predictions make an ensemble")
        return predictions

    def run(self, context: Context | None = None) -> Report:
        context, output = context or Plain(), storage.absolute(self.output)
        members = ensembling.members(self.predictions)
        evaluations = [self._evaluation(member.output) for member in members]
        published.check(members[0].task, self.reference)
        answers = [evaluation.answers() for evaluation in evaluations]
        identity = ensembling.identity(members, evaluations[0], keep_logits=self.keep_logits)
        with storage.claim(output):
            commit.begin(output, identity, members[0].classes)
            receipts = self._averaged(members, answers[0], identity, output, context)
            commit.finish(output, identity, members[0].classes, receipts)
        return self._report(members, answers, output)

    def _evaluation(self, folder: str) -> Evaluate:
        words = {name: getattr(self, name) for name in ("join", "on", "by", "order", "reference")}
        return Evaluate(predictions=folder, **words)

    def _averaged(
        self, members: list[Member], truth: Answers, identity: Mapping[str, object], output: str, context: Context
    ) -> dict[str, Receipt]:
        """The receipts of all shards: those that are there already, and those made now."""
        commit.sweep(output)
        wanted = ensembling.leases(members, identity)
        held = commit.committed(output)
        receipts = {one.file: held[one.file] for one in wanted if _is_done(held.get(one.file), one.fingerprint)}
        todo = [one for one in wanted if one.file not in receipts]
        outputs = tuple(member.output for member in ensembling.ordered(members))
        make = partial(Ensemblist, outputs, output, members[0].task, truth, self.keep_logits)
        done = sum(receipt.rows for receipt in receipts.values())
        started, before, rows = time.monotonic(), done, members[0].rows
        for _, receipt in pool.spread(todo, make, min(self.workers, len(todo))):
            receipts[receipt.file] = receipt
            done += receipt.rows
            rate = (done - before) / max(time.monotonic() - started, 1e-9)
            context.progress(Progress(len(receipts), len(wanted), done, rows, 0, rate, max(self.workers, 1)))
        return receipts

    def _report(self, members: list[Member], answers: list[Answers], output: str) -> Report:
        """The joint answers as `evaluate` scores them, with a table of the runs; no scores without labels."""
        evaluation = self._evaluation(output)
        joint = evaluation.answers()
        room = names.room(members[0].task)
        tags = {**joint.tags, "runs": str(len(members))}
        if not _labelled(joint):
            return Report(output=output, tags=tags, notes=("there are no labels to score the answers by",))
        report = evaluation.run()
        runs = dict(zip(_called(members), answers, strict=True))
        table, estimates = each_beside(joint, runs, room, report.metrics)
        own = {"joint": report.metrics, **estimates}
        known = published.published(members[0].task, joint.corpus.classes, self.reference, own)
        errors = commit.read_manifest(output)["errors"]
        return replace(report, errors=errors, tags=tags, tables={"runs": table, **report.tables, **known})


def _is_done(held: Receipt | None, fingerprint: str) -> bool:
    return held is not None and held.fingerprint == fingerprint


def _labelled(answers: Answers) -> bool:
    first = next(answers.tables(), None)
    return first is None or "label" in first.column_names


def _called(members: list[Member]) -> list[str]:
    """Short names of the runs: the last part of each folder, or all of it where two have the same."""
    short = [title(member.output) for member in members]
    return short if len(set(short)) == len(short) else [member.output for member in members]
