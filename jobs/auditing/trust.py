"""Can the data be trusted? Checks that an audit makes when asked.

Each check is a file of its own that gives back metrics, tables and sentences; here they are only chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.auditing.fields import CHECKS, Trusts
from jobs.auditing.source import Columns, Shards, Source
from jobs.engine.selection import resolve
from jobs.reading import Reading
from jobs.spec import Context, Report, SpecError, nearest
from vision.fairness.counts import Cube


def check_words(job: Trusts) -> None:
    """Refuse a check that there is not, and words of one that is not made.

    Raises:
        SpecError: naming the nearest.
    """
    for name in job.checks:
        if name not in CHECKS:
            raise SpecError(f"checks: no check {name!r}{nearest(name, list(CHECKS))} (checks: {', '.join(CHECKS)})")
    for name in ("same_km", "same_hours"):
        if getattr(job, name) is not None and "leakage" not in job.checks:
            raise SpecError(f"{name}: relatives in other splits are looked for by --checks leakage")
    if job.same_hours is not None and not job.same:
        raise SpecError("same_hours: whose moments? Name a column by --same, such as author")


@dataclass(frozen=True)
class Rows:
    """What is audited: rows, what their columns are, and what was counted of them under its own names."""

    source: Source
    columns: Columns
    cube: Cube | None


def also(job: Trusts, by: Sequence[str]) -> list[str]:
    """The columns that are counted beside those of the groups.

    Raises:
        SpecError: if there are some and no check wants them.
    """
    if job.correlate and "correlations" not in job.checks:
        raise SpecError("correlate: columns are correlated by --checks correlations")
    return [name for name in job.correlate if name not in by]


def checked(report: Report, job: Trusts, rows: Rows, level: float, context: Context) -> Report:
    """A report with what the checks found, in the order in which they are listed here.

    Args:
        level: share of findings that may be false.

    Raises:
        SpecError: if a check is asked of what it cannot be made of.
        JobFailed: if a shard is missing or damaged.
    """
    if not job.checks:
        return report
    from jobs.auditing.checking import carried_out

    for found in carried_out([name for name in CHECKS if name in job.checks], job, rows, level, context):
        report = found.added(report)
    return report


def pictured(job: Trusts, source: Source) -> tuple[list[str], Sequence[Reading]]:
    """The checks that look at pictures, and of which splits."""
    asked: list[str] = [name for name in ("duplicates", "properties") if name in job.checks]
    if not asked:
        return [], ()
    if not isinstance(source, Shards):
        raise SpecError(f"checks: {asked[0]} looks at pictures, and a table has none: give --corpus")
    return asked, beside(job, source.reading) if "duplicates" in asked else [source.reading]


def costs(job: Trusts, source: Source) -> dict[str, str]:
    """The pictures that would be decoded, as far as manifests tell."""
    asked, readings = pictured(job, source)
    pictures = sum(shard.rows for one in readings for shard in one.corpus.present(one.split))
    again = ", and again those that may be copies" if "duplicates" in asked else ""
    return {"pictures to decode": f"{pictures:,}{again}"} if asked else {}


def beside(job: Trusts, reading: Reading) -> Sequence[Reading]:
    """The records that are audited, and those of the splits that they are held against.

    `where` and `join` hold for all of them; what is drawn or limited is only what is audited.

    Raises:
        SpecError: if there is no such split.
    """
    known = reading.corpus.splits
    for name in job.against:
        if name not in known:
            raise SpecError(f"against: no split {name!r}{nearest(name, list(known))} (splits: {', '.join(known)})")
    others = [name for name in job.against or known if name != reading.split]
    whole = reading.subset.model_copy(update={"sample": None, "limit": None, "stratify": None})
    found = [reading]
    for split in dict.fromkeys(others):
        subset = whole.model_copy(update={"split": split})
        selection = resolve(subset, reading.url, reading.corpus, split)
        found.append(Reading(reading.url, reading.corpus, split, subset, selection))
    return found
