"""Who is in a data set, and whom a model fails: an audit of a corpus, of predictions, or of any table of answers.

Rows are counted once, by group, truth and prediction (`vision.fairness.counts`); all that is reported follows from
those counts. So the answer is the same to the last bit for any sharding, and a billion rows cost one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from jobs import flow, records, storage
from jobs.auditing import attribute, beyond, card, geography, given, pictures, provenance, reporting, synsets, trust
from jobs.auditing.counting import count
from jobs.auditing.findings import Asked, read
from jobs.auditing.naming import named
from jobs.auditing.reference import distances
from jobs.auditing.source import ROLES, Columns, Files, Shards, Source
from jobs.auditing.words import findings, notes
from jobs.choosing import sha256
from jobs.evaluate import Evaluate
from jobs.intake.groups import Groups
from jobs.records import Reads
from jobs.spec import Context, Plain, Report, SpecError
from jobs.tables import roles
from vision.fairness import published
from vision.fairness.disparity import Rules
from vision.fairness.rates import PREDICTION, TRUTH
from vision.fairness.tally import Tally


class Audit(trust.Trusts, synsets.Labelled, geography.Placing):
    """Say who is in a data set, and how errors fall across groups."""

    figures: ClassVar[bool] = True

    predictions: str | None = Field(None, description="predictions to audit; without them the corpus alone")
    table: str | None = Field(
        None, description="CSV, TSV or Parquet of answers, or a folder of Parquet files, in place of --corpus"
    )
    columns: tuple[str, ...] = Field(
        (),
        description="with --table: role=name,... such as truth=y,prediction=p,score=s,count=n; rate=r of given rates",
    )
    by: tuple[str, ...] = Field((), description="columns of the groups")
    order: int = Field(1, ge=1, le=4, description="groups of combinations of up to this many columns")
    groups: str | None = Field(None, description="YAML file: column to its values, and their other spellings")
    reference: str | None = Field(None, description="table of a population: columns of --by, with share or count")
    positive: str | None = Field(None, description="the class that is +, for true and false positives and parity")
    metrics: tuple[str, ...] = Field((), description="rates to audit; default: all that the answers determine")
    cluster_by: str | None = Field(
        None, description="column that says whose row it is: answers by person beside those by row"
    )
    min_group: int = Field(30, ge=1, description="rows that a group needs to be judged")
    min_errors: float = Field(5.0, ge=0, description="rows of the rarer outcome that a group must be expected to have")
    level: float = Field(0.05, gt=0, lt=1, description="share of findings that may be false")
    max_groups: int = Field(1000, ge=2, le=1_000_000, description="values that a column of --by may have")
    top: int | None = Field(None, ge=1, description="keep the most frequent values of a column, the rest as (other)")
    second: tuple[str, ...] = Field(
        (), description="COLUMN=OTHER: another annotation of a column of --by, to agree with"
    )
    checked: str | None = Field(
        None,
        description="table with a predicted column of --by beside the column true (and count): bounds on true rates",
    )
    published: str | None = Field(None, description="published figures to set beside: lfw, ijb-a or adience")
    annotated_by: str | None = Field(None, description="who said which group a row belongs to")

    def run(self, context: Context | None = None) -> Report:
        """Audit.

        Raises:
            SpecError: if a field does not fit the rows.
            JobFailed: if a shard is missing or damaged, or a group was not declared.
        """
        if not self.by and not self.checks and not self.label_column:
            raise SpecError("by: the columns of the groups are needed, such as --by gender,race --order 2")
        trust.check_words(self)
        clash = sorted({TRUTH, PREDICTION} & set(self.by))
        if clash:
            raise SpecError(f"by: {clash[0]} is what the audit calls an outcome; rename the column")
        if self.cluster_by in self.by:
            raise SpecError(f"cluster_by: {self.cluster_by} is a group in --by already")
        if "rate" in self._roles():
            return given.report(self, self._roles())
        source, columns, declared, classes, tags = self._source()
        trust.pictured(self, source)  # refused before rows are counted
        outcomes = tuple(n for n, role in ((TRUTH, columns.truth), (PREDICTION, columns.prediction)) if role)
        most = 1_000_000 if self.top else self.max_groups
        zero = Tally(self.by, outcomes, most, columns.also, self.cluster_by)
        report, counted, context = Report(output=_place(tags), tags=tags), zero, context or Plain()
        if columns.needed:
            tally = count(geography.placed(self, source, self.by), columns, zero, self.workers, self.retry_s, context)
            if tally.cube is None or not tally.cube.total():
                raise SpecError("there is no row to audit")
            counted = named(tally, columns, declared, classes, self.top)
            report = self._report(counted, columns.truth, declared, tags)
            report = synsets.described(self, tally.cube, classes).added(report)
        rows = trust.Rows(source, columns, counted.cube)
        return card.finished(trust.checked(report, self, rows, self.level, context), self.to_yaml())

    def estimate(self, context: Context) -> Mapping[str, str]:
        """The rows that would be read, as far as footers and manifests tell."""
        source, columns, *_ = self._source()
        rows = f"{source.rows:,}" if source.rows else "not known before they are read"
        facts = {"rows": f"{rows} in {len(source.parts):,} files", "columns": ", ".join(columns.needed)}
        return facts | trust.costs(self, source)

    def _report(self, tally: Tally, truth: str | None, declared: Groups, tags: dict[str, str]) -> Report:
        assert tally.cube is not None
        rules = Rules(self.min_group, self.min_errors, self.level)
        asked = Asked(self.by, self.order, self.metrics, self.positive, truth, declared.values, rules)
        try:
            found = read(tally.cube, asked)
            known = published.beside(self.published, found.compositions) if self.published else []
        except ValueError as error:
            raise SpecError(str(error)) from None
        far = {} if self.reference is None else distances(self.reference, found.compositions)
        agreed, agreements = attribute.agreements(tally.cube, attribute.pairs(self.second, self.by))
        ends = None if self.checked is None else attribute.checked(self.checked, tally.cube, asked, list(found.overall))
        more = {"agreements": agreements, "true_groups": ends, "published": reporting.published(known)}
        tables = {**pictures.tables(found, far, self.min_group), **reporting.tables(found, far)}
        tables |= beyond.tables(tally, asked, found)
        metrics = {**reporting.metrics(found), **reporting.far(far, found), **agreed}
        facts = provenance.facts(self, tally, found, tags)
        text = card.written(facts, findings(rules, tally, found), found, far, rules)
        whole = Report(
            metrics=metrics,
            groups=tuple((dict(cell), values) for cell, values in found.by_cell()),
            output=_place(tags),
            errors=found.unanswered,
            tables={
                **tables,
                **{name: table for name, table in more.items() if table is not None},
                "provenance": provenance.table(facts),
            },
            tags={**tags, "counts_sha256": facts["counts sha256"]},
            notes=notes(self, rules, tally, found),
            files={card.FILE: text},
        )
        return geography.peopled(self, found.compositions).added(whole)

    def _also(self) -> tuple[str, ...]:
        second = attribute.pairs(self.second, self.by).values()
        return (*second, *filter(None, [self.label_column]), *trust.also(self, self.by))

    def _roles(self) -> dict[str, str]:
        if self.columns and self.table is None:
            raise SpecError("columns: roles are those of a --table; a corpus has its own names")
        return roles(self.columns, ROLES)

    def _source(self) -> tuple[Source, Columns, Groups, tuple[str, ...] | None, dict[str, str]]:
        """Where the rows are, what their columns are, the groups and classes declared, and what to find it by."""
        declared = Groups.read(self.groups) if self.groups else Groups()
        subset = {name: str(value) for name, value in records.key(self).items()}
        if self.table is not None:
            if self.corpus or self.predictions:
                raise SpecError("audit takes --table, or --corpus with or without --predictions, not both")
            url, names = storage.absolute(self.table), self._roles()
            files = Files.of(url, self)
            columns = Columns(self.by, person=self.cluster_by, also=self._also(), **names)
            columns.check(geography.names(self, files.names(), self.by), url)
            declared.check(geography.names(self, files.names(), self.by))
            digest = {"table_sha256": sha256(url)} if files.parts == (url,) else {"files": str(len(files.parts))}
            return files, columns, declared, None, {"table": url, **digest, **subset}
        if self.corpus is None and self.predictions is None:
            raise SpecError("audit takes --table, or --corpus with or without --predictions, got none")
        return self._of_corpus(declared, subset)

    def _of_corpus(
        self, declared: Groups, subset: dict[str, str]
    ) -> tuple[Source, Columns, Groups, tuple[str, ...] | None, dict[str, str]]:
        answers = None
        if self.predictions is not None:
            fields = {name: getattr(self, name) for name in Reads.model_fields if getattr(self, name) is not None}
            answers = Evaluate(**fields, predictions=self.predictions).answers()
        reading = flow.read(self) if answers is None else answers.reading
        assert reading is not None
        corpus = reading.corpus if answers is None else answers.corpus
        shards = Shards.of(reading, answers)
        columns = shards.columns(self.by, self.cluster_by, self._also())
        columns.check(geography.names(self, shards.names(), self.by), reading.url)
        declared.check(geography.names(self, shards.names(), self.by))
        tags = {"corpus": reading.url, "corpus_version": str(corpus.version), "corpus_digest": corpus.digest}
        tags |= {"split": reading.split, **subset}
        if answers is not None:
            tags |= {"predictions": answers.output, "model_digest": answers.tags["model_digest"]}
        known = {name: tuple(values) for name, values in corpus.groups.items() if name in self.by}
        return shards, columns, declared if declared.values else Groups(known), corpus.classes, tags


def _place(tags: Mapping[str, str]) -> str | None:
    """What was audited."""
    return tags.get("predictions") or tags.get("table") or tags.get("corpus")
