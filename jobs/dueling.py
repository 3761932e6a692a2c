"""Two sets of answers to the same records as a match: a round a record, whole and by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jobs import pairing
from jobs.answers import Answers
from jobs.cause import refuse_same
from jobs.pairing import Meeting
from jobs.reading import PREDICTED
from jobs.spec import SpecError
from vision.accumulator import Accumulator, Array, Batch, ByGroup, Suite


def check(room: Any, task: str) -> None:
    """Refuse a task whose answers cannot be set against others, before any work is done.

    Raises:
        SpecError: if its room knows no rounds.
    """
    if not hasattr(room, "duel"):
        raise SpecError(
            f"against: answers for the task {task} are compared by `safelight results compare`, not in rounds"
        )


def duel(
    baseline: Answers, candidate: Answers, room: Any, by: Sequence[str] = (), order: int = 1
) -> tuple[Any, ByGroup | None]:
    """The match of a candidate against a baseline, and of each group by columns of the candidate.

    Raises:
        SpecError: if they are the same, have no record in common, or differ in what is true.
    """
    refuse_same(baseline, candidate)
    zero = room.duel()
    states: list[Accumulator] = [zero, *([ByGroup(zero, tuple(by), order)] if by else [])]
    whole = Suite(tuple(states))
    for _, meeting in pairing.meetings(baseline, {"candidate": candidate}):
        _same_truth(meeting, room, candidate.output)
        whole = whole.update(_rounds(meeting, room, by))
    match, *groups = whole.states
    if match == zero:
        raise SpecError(f"{baseline.output} and {candidate.output} have no record in common: there is no round to play")
    return match, groups[0] if groups and isinstance(groups[0], ByGroup) else None


def _rounds(meeting: Meeting, room: Any, by: Sequence[str]) -> Batch:
    """What both bring to the rounds, over the records that count for both."""
    ours, _ = meeting.baseline.contributions("round", room.ROUND)
    theirs, _ = meeting.candidate.contributions("round", room.ROUND)
    ours, theirs = ours[meeting.ours], theirs[meeting.theirs]
    known = ~(np.isnan(ours) | np.isnan(theirs))
    rows = meeting.theirs[known]
    columns = {name: values[rows] for name, values in meeting.candidate.columns_of(tuple(by)).items()}
    return {**columns, "baseline": ours[known], "candidate": theirs[known]}


def _same_truth(meeting: Meeting, room: Any, where: str) -> None:
    """Refuse two sets that say of one record that different things are true."""
    for name in (name for name in room.NEEDS if not name.startswith(PREDICTED)):
        ours = _of(meeting.baseline, name, meeting.ours)
        theirs = _of(meeting.candidate, name, meeting.theirs)
        differ = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
        if differ.any():
            first = meeting.baseline.ids[int(meeting.ours[np.flatnonzero(differ)[0]])].as_py()
            raise SpecError(f"{where} has another {name} for {int(differ.sum()):,} records, such as {first}")


def _of(part: pairing.Part, name: str, rows: Array) -> Array:
    return np.asarray(part.columns_of((name,))[name], np.float64)[rows]
