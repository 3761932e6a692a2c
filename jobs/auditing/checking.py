"""The checks of an audit carried out: each is a file of its own that gives back metrics, tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.auditing import correlations, doubts, duplicates, leakage, properties
from jobs.auditing.checked import Checked
from jobs.auditing.copies import Words
from jobs.auditing.fields import Trusts
from jobs.auditing.passes import Named
from jobs.auditing.pixels import look
from jobs.auditing.relations import Nearby, Relation, Same, Soon
from jobs.auditing.source import Columns, Shards, Source
from jobs.auditing.trust import Rows, also, beside, pictured
from jobs.reading import Reading
from jobs.spec import Context, SpecError


def carried_out(names: Sequence[str], job: Trusts, rows: Rows, level: float, context: Context) -> Iterator[Checked]:
    """What each check found, in order.

    Raises:
        SpecError: if a check is asked of what it cannot be made of.
        JobFailed: if a shard is missing or damaged.
    """
    looked = _looked(job, rows, context)
    for name in names:
        yield _one(name, job, rows, looked, level, context)


@dataclass(frozen=True)
class Looked:
    """What the pictures of some splits, those of the audited one first, were measured as."""

    readings: Sequence[Reading] = ()
    states: Mapping[str, Any] = field(default_factory=dict)


def _looked(job: Trusts, rows: Rows, context: Context) -> Looked:
    """One pass over the pictures for all checks that look at them."""
    asked, readings = pictured(job, rows.source)
    if not asked:
        return Looked()
    zeros = {"duplicates": Words(), "properties": properties.Properties(rows.columns.by)}
    states = look(readings, [zeros[name] for name in asked], job.workers, job.retry_s, context)
    return Looked(readings, dict(zip(asked, states, strict=True)))


def _one(name: str, job: Trusts, rows: Rows, looked: Looked, level: float, context: Context) -> Checked:
    if name == "duplicates":
        found = duplicates.find(looked.states[name], looked.readings, job, context)
        return duplicates.report(found, looked.readings[0].split)
    if name == "properties":
        return properties.find(looked.states[name], looked.readings[0], level)
    if name == "leakage":
        return _leakage(job, rows.source, rows.columns, context)
    if name == "labels":
        return _labels(job, rows.source, rows.columns, context)
    counted = [*rows.columns.by, *also(job, rows.columns.by)]
    return correlations.find(rows.cube, counted, level, rows.columns.truth)


def _leakage(job: Trusts, source: Source, columns: Columns, context: Context) -> Checked:
    if not job.same and job.same_km is None:
        raise SpecError(
            "same: leakage needs columns of which a value should be in one split only, such as person, or --same-km"
        )
    id_column, split = columns.id, None
    sources: list[Named] = [("", source)]
    if isinstance(source, Shards):
        id_column = "id"
        readings = beside(job, source.reading) if job.split_by is None else [source.reading]
        sources = [(reading.split, Shards.of(reading, None)) for reading in readings]
        split = source.reading.split if job.split_by is None else None
    elif job.split_by is None:
        raise SpecError("split_by: leakage in a table needs the column that says which split a row is of")
    asked = leakage.Asked(_relations(job, columns), split, job.split_by, id_column)
    for name, one in sources:
        asked.columns.check(one.names(), f"split {name}" if name else "the table")
    return leakage.find(sources, asked, job, context)


def _relations(job: Trusts, columns: Columns) -> tuple[Relation, ...]:
    """What makes rows relatives: first equal values, then places, then moments."""
    same, hours = tuple(Same(column) for column in job.same), job.same_hours
    place = () if job.same_km is None else (
        Nearby(job.same_km, columns.latitude or "latitude", columns.longitude or "longitude"),
    )  # fmt: skip
    moments = () if hours is None else tuple(Soon(column, hours, job.time) for column in job.same)
    return (*same, *place, *moments)


def _labels(job: Trusts, source: Source, columns: Columns, context: Context) -> Checked:
    classes = source.answers.corpus.classes if isinstance(source, Shards) and source.answers else None
    return doubts.find(source, columns, job.suspects, classes or (), job, context)
