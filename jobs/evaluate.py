"""A model, its predictions or a table of answers, scored: every metric with its interval, and by group.

With a model this is `predict` followed by a fold over its output; predictions that are there already are not made
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import Field

from jobs import ceilings, dueling, flow, maps, measuring, overlapping, published, related, storage, tables
from jobs.answers import Answers, from_table
from jobs.asking import Predicting, title
from jobs.engine import commit
from jobs.engine.run import errors_in
from jobs.examples import examples
from jobs.records import open_corpus
from jobs.spec import Context, Plain, Report, SpecError
from jobs.together import only, together
from vision import names
from vision.accumulator import Accumulator, ByGroup, Cell, Estimate, Suite
from vision.model import Model


class Evaluate(Predicting):
    """Score a model on one split of a corpus."""

    predictions: str | None = Field(None, description="predictions to score, in place of --model")
    table: str | None = Field(None, description="CSV, TSV or Parquet of answers from elsewhere, in place of --model")
    truth: str | None = Field(None, description="volume of true ids; --predictions is then one of found ids")
    skeletons: str | None = Field(None, description="folder of SWC files to follow through --predictions, a volume")
    skeleton_nm: float = Field(1.0, gt=0, description="nanometres that coordinates of --skeletons count in")
    columns: tuple[str, ...] = Field((), description="with --table: role=name,... such as truth=y,prediction=p")
    task: str | None = Field(None, description="the room whose metrics apply; default: the model's")
    by: tuple[str, ...] = Field((), description="columns to break every metric down by")
    order: int = Field(1, ge=1, le=4, description="break down by combinations of up to this many columns")
    reference: str | None = Field(
        None, description="published results to place the run among, such as ilsvrc; default: where the classes are its"
    )
    cells: tuple[str, ...] = Field(
        (), description="geolocation: files of cells whose ceiling and map stand beside the metrics"
    )
    geojson: str | None = Field(None, description="geolocation: folder or URL for the report's maps as GeoJSON")
    measure: str | None = Field(
        None, description="JSON: parameters of the metrics; geolocation: thresholds_km, inclusive, formula, radius_km"
    )
    against: str | None = Field(None, description="geolocation: predictions or a table to play, round by round")
    train_corpus: str | None = Field(
        None, description="corpus of the training: test records with relatives there are marked and scored apart"
    )
    train_split: str | None = Field(None, description="its split")
    related_by: tuple[str, ...] = Field(
        (), description="columns whose equal values make relatives; geolocation: author,album where they are"
    )
    related_km: float = Field(1.0, ge=0, description="geolocation: photos taken so near to each other are relatives")
    against_columns: tuple[str, ...] = Field((), description="roles of its columns; default: those of --columns")

    def estimate(self, context: Context) -> Mapping[str, str]:
        part = self.parts()[0]
        return flow.estimate(flow.read(part), context.model(part.model[0]), part) if part.model else {}

    def run(self, context: Context | None = None) -> Report:
        given = [name for name in ("model", "predictions", "table") if getattr(self, name)]
        if len(given) != 1:
            got = " and ".join(given) or "none"
            raise SpecError(f"evaluate takes one of --model, --predictions and --table, got {got}")
        if self.truth or self.skeletons:
            task = self.task or "classification"
            return overlapping.scored(self, names.room(task), task, context or Plain())
        self._check()
        if self.model:
            return only(self, context or Plain())
        return self._scored(self.answers(), self.task or "classification", 0, {})

    @classmethod
    def run_all(cls, parts: Sequence[Self], contexts: Sequence[Context]) -> list[Report | Exception]:
        if not all(part.model and not part.predictions and not part.table for part in parts):
            return [part.run(context) for part, context in zip(parts, contexts, strict=True)]
        parts[0]._check()
        return together(parts, contexts, cls._report)

    def _check(self) -> None:
        """Refuse what the room of the task does not have, before any work is done, as far as the task is known."""
        task = self.task or "classification"
        published.check(task, self.reference)
        if self.train_corpus is None and (self.train_split or self.related_by):
            raise SpecError("train_corpus: relatives are looked for in a corpus: name it")
        if self.task or not self.model:
            self._offered(names.room(task), task)

    def _offered(self, room: Any, task: str) -> None:
        overlapping.check_suite(room, task)
        measuring.check(room, task, self.measure)
        if self.cells:
            ceilings.check(room, task)
        if self.geojson and not hasattr(room, "pictures"):
            raise SpecError(f"geojson: answers for the task {task} are not drawn on a map")
        if self.against:
            dueling.check(room, task)

    def _report(self, model: Model, applied: flow.Applied) -> Report:
        answers, tally = applied.answers, applied.tally
        own = {"errors": errors_in(answers.output, tally.receipts)} if tally.errors else {}
        return self._scored(answers, self.task or model.task, tally.errors, own)

    def _scored(self, answers: Answers, task: str, errors: int, own: dict[str, Any]) -> Report:
        """Fold the room's metrics over answers, whole and by group."""
        answers.check_columns(self.by, "by")
        room = names.room(task)
        answers.check_scorable(task, room.NEEDS)
        self._offered(room, task)
        answers, leakage, remarks = self._related(answers, room)
        by = (*self.by, related.MARK) if leakage else self.by
        suite, worst = measuring.suite(room, task, answers.corpus, self.measure), room.worst(answers.corpus)
        highest = Suite(ceilings.of(room, self.cells))
        states: list[Accumulator] = [suite, worst, highest, ByGroup(suite, by, self.order)]
        overall, worst, highest, broken_down = flow.fold(answers, Suite(tuple(states))).states
        groups = {cell: state.compute() for cell, state in broken_down.groups()}
        metrics = overall.compute()
        match, notes = self._match(answers, room, metrics, groups)
        name = title((*self.model, answers.output)[0])
        drawn = highest.tables()
        if self.geojson:
            maps.save(self.geojson, drawn)
        known = published.published(task, answers.corpus.classes, self.reference, {name: metrics})
        return Report(
            metrics=metrics,
            groups=tuple((dict(cell), found) for cell, found in groups.items()),
            output=answers.output,
            errors=errors,
            tables={**own, **known, **overall.tables(), **drawn, **match, **leakage},
            tags=answers.tags,
            examples=examples(answers, worst.notable()),
            notes=(*notes, *remarks),
        )

    def _related(self, answers: Answers, room: Any) -> tuple[Answers, dict[str, Any], tuple[str, ...]]:
        """The answers, marked where they have relatives in training, if that is asked for; a table and sentences."""
        if self.train_corpus is None:
            return answers, {}, ()
        asked = related.Asked(self.train_corpus, self.train_split, self.related_by, self.related_km)
        marked, counts, remarks = related.marked(answers, asked, room)
        return marked, {"leakage": counts}, remarks

    def _match(
        self, answers: Answers, room: Any, metrics: dict[str, Estimate], groups: dict[Cell, dict[str, Estimate]]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Tables and a sentence of the match against other answers, if any; its estimates join the others."""
        if self.against is None:
            return {}, ()
        whole, broken_down = dueling.duel(self._opponent(), answers, room, self.by, self.order)
        metrics.update(whole.compute())
        for cell, state in broken_down.groups() if broken_down else []:
            groups[cell].update(state.compute())
        return whole.tables(), (whole.sentence(),)

    def _opponent(self) -> Answers:
        """The answers that `against` names: a table by its ending, else a folder of predictions."""
        words = {"table": self.against} if tables.is_one(self.against or "") else {"predictions": self.against}
        columns = self.against_columns or self.columns
        return type(self)(**words, columns=columns if "table" in words else ()).answers()

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
