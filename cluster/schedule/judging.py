"""A night's candidates judged against its champion, together, and the verdicts written on their runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from cluster.schedule import figures, runs, writing
from cluster.schedule.champion import Champion
from cluster.schedule.entries import Entry
from cluster.schedule.working import Done
from cluster.settings import Settings
from jobs.spec import SpecError

if TYPE_CHECKING:
    from jobs.answers import Answers
    from jobs.gates import Judgement

ORDER = ("fail", "undecided", "pass")
"""Verdicts, worst first."""


@dataclass(frozen=True)
class Candidate:
    """One model of a night; `judgement` is None where nothing was compared, and `note` says why."""

    done: Done
    judgement: Judgement | None = None
    note: str = ""

    @property
    def verdict(self) -> str | None:
        return None if self.judgement is None else self.judgement.verdict


def judge(
    entry: Entry, day: date, found: Sequence[Done], champion: Champion, where: Settings, say: Callable[[str], None]
) -> list[Candidate]:
    """Judge the models of a night, and write the verdicts on their runs.

    Raises:
        SpecError: if they cannot be compared.
        JobFailed: if the champion did not answer.
    """
    wanted = [one for one in found if champion.model is None or one.model != champion.model]
    night = 1 + runs.judged_before(entry.name, day, where)
    if champion.figures is not None:
        judged, notes = figures.judged(entry, champion.figures, wanted, night, where)
    else:
        judged, notes = _by_answers(entry, champion.answers or _answered(found, champion), wanted, night)
    candidates = [Candidate(one, judged.get(_name(one)), notes.get(_name(one), "")) for one in wanted]
    for candidate in candidates:
        _write(candidate, champion, where, say)
    for one in found:
        if one not in wanted and one.run_id is not None:
            writing.on_run(one.run_id, one.job, {runs.ROLE: runs.CHAMPION}, where, say, status=_status(one))
    return candidates


def _by_answers(
    entry: Entry, baseline: Answers, wanted: Sequence[Done], night: int
) -> tuple[Mapping[str, Judgement], Mapping[str, str]]:
    from jobs.gates import judge_all

    answers, notes = _comparable(baseline, wanted)
    return (judge_all(entry.gates, baseline, answers, _room(wanted), night) if answers else {}), notes


def worst(verdicts: Sequence[str | None]) -> str | None:
    """The worst verdict there is, None without any."""
    return next((verdict for verdict in ORDER if verdict in verdicts), None)


def _answered(found: Sequence[Done], champion: Champion) -> Answers:
    """What the champion answered tonight."""
    for one in found:
        if one.model == champion.model:
            if one.error is not None:
                raise SpecError(f"the champion {champion.name} gave no answers: {one.error}")
            return _answers(one)
    raise SpecError(f"the champion {champion.name} was not asked")


def _answers(one: Done) -> Answers:
    from jobs.answers import recorded

    if one.output is None:
        raise SpecError(f"{one.model or one.job} left no answers to judge")
    return recorded(one.fields, one.output)


def _comparable(baseline: Answers, wanted: Sequence[Done]) -> tuple[dict[str, Answers], Mapping[str, str]]:
    """The answers to judge, and why others cannot be."""
    from jobs.cause import refuse_same

    answers: dict[str, Answers] = {}
    notes: dict[str, str] = {}
    for one in wanted:
        if one.error is not None:
            notes[_name(one)] = one.error
            continue
        found = _answers(one)
        try:
            refuse_same(baseline, found)
            answers[_name(one)] = found
        except SpecError as error:
            notes[_name(one)] = str(error)
    return answers, notes


def _write(one: Candidate, champion: Champion, where: Settings, say: Callable[[str], None]) -> None:
    if one.judgement is None or one.done.run_id is None:
        return
    tags = {runs.VERDICT: one.judgement.verdict, runs.AGAINST: champion.name}
    writing.on_run(one.done.run_id, one.done.job, tags, where, say, table=one.judgement.table())


def _status(one: Done) -> str:
    return "FINISHED" if one.error is None else "FAILED"


def _name(one: Done) -> str:
    return one.model or one.job


def _room(found: Sequence[Done]) -> str:
    return next((one.fields["task"] for one in found if one.fields.get("task")), "classification")
