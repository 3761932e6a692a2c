"""Can the data be trusted? Checks that an audit makes when asked.

Each check is a file of its own that gives back metrics, tables and sentences; here they are only chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jobs.auditing import duplicates
from jobs.auditing.checked import Checked
from jobs.auditing.source import Shards, Source
from jobs.engine.selection import resolve
from jobs.reading import Reading
from jobs.records import Reads, Spread
from jobs.spec import Context, Report, SpecError, nearest

CHECKS = ("duplicates",)


class Trusts(Reads, Spread):
    """The fields of these checks."""

    checks: tuple[str, ...] = Field((), description=f"whether the data can be trusted: {', '.join(CHECKS)}")
    against: tuple[str, ...] = Field(
        (), description="splits in which copies and relatives are looked for; default: all others; the own: none"
    )


def check_words(job: Trusts) -> None:
    """Refuse a check that there is not.

    Raises:
        SpecError: naming the nearest.
    """
    for name in job.checks:
        if name not in CHECKS:
            raise SpecError(f"checks: no check {name!r}{nearest(name, list(CHECKS))} (checks: {', '.join(CHECKS)})")


def checked(report: Report, job: Trusts, source: Source, context: Context) -> Report:
    """A report with what the checks found, in the order in which they are listed here.

    Args:
        source: the rows that are audited.

    Raises:
        SpecError: if a check is asked of what it cannot be made of.
        JobFailed: if a shard is missing or damaged.
    """
    for name in CHECKS:
        if name in job.checks:
            report = _one(name, job, source, context).added(report)
    return report


def _one(name: str, job: Trusts, source: Source, context: Context) -> Checked:
    if not isinstance(source, Shards):
        raise SpecError(f"checks: {name} looks at pictures, and a table has none: give --corpus")
    return duplicates.report(duplicates.find(beside(job, source.reading), job, context), source.reading.split)


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
