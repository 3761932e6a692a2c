"""An audit carried out: rows found, counted once, read as findings, and checked where that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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
from jobs.spec import Context, Report, SpecError
from jobs.tables import roles
from vision.fairness import published
from vision.fairness.disparity import Rules
from vision.fairness.rates import PREDICTION, TRUTH
from vision.fairness.tally import Tally

if TYPE_CHECKING:
    from jobs.audit import Audit


def audited(job: Audit, context: Context) -> Report:
    """The whole audit.

    Raises:
        SpecError: if a field does not fit the rows.
        JobFailed: if a shard is missing or damaged, or a group was not declared.
    """
    if not job.by and not job.checks and not job.label_column:
        raise SpecError("by: the columns of the groups are needed, such as --by gender,race --order 2")
    trust.check_words(job)
    clash = sorted({TRUTH, PREDICTION} & set(job.by))
    if clash:
        raise SpecError(f"by: {clash[0]} is what the audit calls an outcome; rename the column")
    if job.cluster_by in job.by:
        raise SpecError(f"cluster_by: {job.cluster_by} is a group in --by already")
    if "rate" in _roles(job):
        return given.report(job, _roles(job))
    source, columns, declared, classes, tags = _source(job)
    trust.pictured(job, source)  # refused before rows are counted
    outcomes = tuple(n for n, role in ((TRUTH, columns.truth), (PREDICTION, columns.prediction)) if role)
    most = 1_000_000 if job.top else job.max_groups
    zero = Tally(job.by, outcomes, most, columns.also, job.cluster_by)
    report, counted = Report(output=_place(tags), tags=tags), zero
    if columns.needed:
        tally = count(geography.placed(job, source, job.by), columns, zero, job.workers, job.retry_s, context)
        if tally.cube is None or not tally.cube.total():
            raise SpecError("there is no row to audit")
        counted = named(tally, columns, declared, classes, job.top)
        report = _report(job, counted, columns.truth, declared, tags)
        report = synsets.described(job, tally.cube, classes).added(report)
    rows = trust.Rows(source, columns, counted.cube)
    return card.finished(trust.checked(report, job, rows, job.level, context), job.to_yaml())


def estimated(job: Audit) -> Mapping[str, str]:
    """The rows that would be read, as far as footers and manifests tell."""
    source, columns, *_ = _source(job)
    rows = f"{source.rows:,}" if source.rows else "not known before they are read"
    facts = {"rows": f"{rows} in {len(source.parts):,} files", "columns": ", ".join(columns.needed)}
    return facts | trust.costs(job, source)


def _report(job: Audit, tally: Tally, truth: str | None, declared: Groups, tags: dict[str, str]) -> Report:
    assert tally.cube is not None
    rules = Rules(job.min_group, job.min_errors, job.level)
    asked = Asked(job.by, job.order, job.metrics, job.positive, truth, declared.values, rules)
    try:
        found = read(tally.cube, asked)
        known = published.beside(job.published, found.compositions) if job.published else []
    except ValueError as error:
        raise SpecError(str(error)) from None
    far = {} if job.reference is None else distances(job.reference, found.compositions)
    agreed, agreements = attribute.agreements(tally.cube, attribute.pairs(job.second, job.by))
    ends = None if job.checked is None else attribute.checked(job.checked, tally.cube, asked, list(found.overall))
    more = {"agreements": agreements, "true_groups": ends, "published": reporting.published(known)}
    tables = {**pictures.tables(found, far, job.min_group), **reporting.tables(found, far)}
    tables |= beyond.tables(tally, asked, found)
    metrics = {**reporting.metrics(found), **reporting.far(far, found), **agreed}
    facts = provenance.facts(job, tally, found, tags)
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
        notes=notes(job, rules, tally, found),
        files={card.FILE: text},
    )
    return geography.peopled(job, found.compositions).added(whole)


def _also(job: Audit) -> tuple[str, ...]:
    second = attribute.pairs(job.second, job.by).values()
    return (*second, *filter(None, [job.label_column]), *trust.also(job, job.by))


def _roles(job: Audit) -> dict[str, str]:
    if job.columns and job.table is None:
        raise SpecError("columns: roles are those of a --table; a corpus has its own names")
    return roles(job.columns, ROLES)


def _source(job: Audit) -> tuple[Source, Columns, Groups, tuple[str, ...] | None, dict[str, str]]:
    """Where the rows are, what their columns are, the groups and classes declared, and what to find it by."""
    declared = Groups.read(job.groups) if job.groups else Groups()
    subset = {name: str(value) for name, value in records.key(job).items()}
    if job.table is not None:
        if job.corpus or job.predictions:
            raise SpecError("audit takes --table, or --corpus with or without --predictions, not both")
        url, names = storage.absolute(job.table), _roles(job)
        files = Files.of(url, job)
        columns = Columns(job.by, person=job.cluster_by, also=_also(job), **names)
        columns.check(geography.names(job, files.names(), job.by), url)
        declared.check(geography.names(job, files.names(), job.by))
        digest = {"table_sha256": sha256(url)} if files.parts == (url,) else {"files": str(len(files.parts))}
        return files, columns, declared, None, {"table": url, **digest, **subset}
    if job.corpus is None and job.predictions is None:
        raise SpecError("audit takes --table, or --corpus with or without --predictions, got none")
    return _of_corpus(job, declared, subset)


def _of_corpus(
    job: Audit, declared: Groups, subset: dict[str, str]
) -> tuple[Source, Columns, Groups, tuple[str, ...] | None, dict[str, str]]:
    answers = None
    if job.predictions is not None:
        fields = {name: getattr(job, name) for name in Reads.model_fields if getattr(job, name) is not None}
        answers = Evaluate(**fields, predictions=job.predictions).answers()
    reading = flow.read(job) if answers is None else answers.reading
    assert reading is not None
    corpus = reading.corpus if answers is None else answers.corpus
    shards = Shards.of(reading, answers)
    columns = shards.columns(job.by, job.cluster_by, _also(job))
    columns.check(geography.names(job, shards.names(), job.by), reading.url)
    declared.check(geography.names(job, shards.names(), job.by))
    tags = {"corpus": reading.url, "corpus_version": str(corpus.version), "corpus_digest": corpus.digest}
    tags |= {"split": reading.split, **subset}
    if answers is not None:
        tags |= {"predictions": answers.output, "model_digest": answers.tags["model_digest"]}
    known = {name: tuple(values) for name, values in corpus.groups.items() if name in job.by}
    return shards, columns, declared if declared.values else Groups(known), corpus.classes, tags


def _place(tags: Mapping[str, str]) -> str | None:
    """What was audited."""
    return tags.get("predictions") or tags.get("table") or tags.get("corpus")
