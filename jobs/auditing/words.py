"""The sentences of an audit's report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from jobs.auditing.findings import Found
from vision.fairness import sentences
from vision.fairness.disparity import Rules
from vision.fairness.persons import conflicts
from vision.fairness.tally import Tally

_NAMED = 10


class Words(Protocol):
    """What of a job is said in its report."""

    @property
    def by(self) -> tuple[str, ...]: ...

    @property
    def where(self) -> str | None: ...

    @property
    def cluster_by(self) -> str | None: ...

    @property
    def annotated_by(self) -> str | None: ...


def notes(asked: Words, rules: Rules, tally: Tally, found: Found) -> tuple[str, ...]:
    """Findings of the first rate, what they rest on, then the other rates; who has contradicting labels is named."""
    first, others = _gaps(found)
    return (*first, *_family(rules, tally, found), *_conflicts(asked, tally), *_rests_on(asked, tally), *others)


def findings(rules: Rules, tally: Tally, found: Found) -> tuple[str, ...]:
    """What was found, about groups alone."""
    first, others = _gaps(found)
    return (*first, *_family(rules, tally, found), *others)


def _gaps(found: Found) -> tuple[list[str], list[str]]:
    """The widest gaps of the first rate, and of the others with why odds cannot be told."""
    rates = list(dict.fromkeys(gap.rate for gap in found.gaps))
    said = {rate: [sentences.of_gap(gap) for gap in found.gaps if gap.rate == rate] for rate in rates}
    odds = [f"equalized odds by {' by '.join(columns)}: {one.reason}" for columns, one in found.odds.items()
            if math.isnan(one.difference.value)]  # fmt: skip
    return [one for rate in rates[:1] for one in said[rate]], [one for rate in rates[1:] for one in said[rate]] + odds


def _family(rules: Rules, tally: Tally, found: Found) -> list[str]:
    """How many groups differ, and how many rows are in no group or have no answer."""
    assert tally.cube is not None
    said = sentences.of_family(found.groups, rules) if found.groups else []
    total = tally.cube.total()
    said += [
        sentences.of_unknown(composition.columns, composition.unknown, total)
        for composition in found.compositions
        if composition.unknown and len(composition.columns) == 1
    ]
    if found.unanswered:
        below = "they are below the line of every rate but top1 and ppv"
        said.append(f"{found.unanswered:,} of {total:,} rows have no answer: {below}")
    return said


def _rests_on(asked: Words, tally: Tally) -> tuple[str, ...]:
    assert tally.cube is not None
    total, said = tally.cube.total(), sentences.of_annotation(asked.by, asked.annotated_by)
    rows = f"{total:,} rows" + (f" where {asked.where}" if asked.where else "")
    return (*said, f"{rows} were counted once; every figure follows from these counts")


def _conflicts(asked: Words, tally: Tally) -> Sequence[str]:
    """Whoever is in two groups of one column."""
    if tally.persons is None:
        return []
    said = []
    for column in asked.by:
        found = conflicts(tally.persons, column)
        if found:
            names = ", ".join(name for name, _ in found[:_NAMED])
            more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
            said.append(f"{len(found):,} values of {asked.cluster_by} are in several groups of {column}: {names}{more}")
    return said
