"""Gates: rules that turn a comparison into pass, fail or undecided, for all models and groups of a night at once.

Each finding asks two questions of its own. *Is the candidate within the margin?* It passes when its whole interval
lies on the good side. *Is it worse than the margin?* It fails when the evidence for that survives the number of
questions asked tonight and the nights they were asked on. Between the two it is undecided, and says how many more
images would decide. Which error has which rate: vision/evidence.py. A gain overall cannot hide a loss in one group: a
judgement passes only if every group that has enough images does.

A gap between groups (`top1.difference`, see jobs/disparate.py) is compared on the same images like any other metric; an
audit keeps no answers, and jobs/auditing/gating.py compares its figures as two samples.

Reading is most of the work: once it is done, 5 models on 50,000 images by 20 groups take 0.2 s on one core, and macro
averages 3 s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs import disparate, drifting, pairing
from jobs.answers import Answers
from jobs.cause import SAME, cause, refuse_same
from jobs.findings import Finding, Judgement, Question, found, judgement
from jobs.spec import SpecError
from vision import names
from vision.accumulator import Cell
from vision.contribution import PerCell
from vision.grouping import rows_by_values

__all__ = ["Finding", "Gate", "Judgement", "judge", "judge_all"]


class Gate(BaseModel):
    """A rule for one metric: how much may be lost, overall and in which groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field("top1", description="a metric that both have; gaps such as top1.difference need by")
    margin: float = Field(0.0, ge=0, allow_inf_nan=False, description="the loss that would be accepted")
    by: tuple[str, ...] = Field((), description="columns whose groups are judged as well")
    order: int = Field(1, ge=1, le=4, description="groups of combinations of up to this many columns")
    min_group: int = Field(100, ge=2, description="groups of fewer images are reported, not judged")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of intervals; half the rest is what each error may take")
    kind: Literal["paired", "drift"] = Field("paired", description="two models on the same images, or one on two sets")


def judge(gates: Sequence[Gate], baseline: Answers, candidate: Answers, task: str, night: int = 1) -> Judgement:
    """One candidate against the baseline; see `judge_all`."""
    return judge_all(gates, baseline, {"candidate": candidate}, task, night)["candidate"]


def judge_all(
    gates: Sequence[Gate], baseline: Answers, candidates: Mapping[str, Answers], task: str, night: int = 1
) -> Mapping[str, Judgement]:
    """All candidates of one night against the baseline, together, so that the rates hold over models and groups.

    Args:
        night: how many nights this series of gates has been judged, 1 on the first. A new champion does not begin a new
            series: with a promotion a night, each would have the whole rate of false alarms to itself.

    Raises:
        SpecError: if a candidate is the baseline, has no image in common with it, or lacks a metric or column.
    """
    if night < 1:
        raise SpecError(f"night must be 1 or more, got {night}")
    if not gates:
        raise SpecError("there is no gate to judge by")
    for candidate in candidates.values():
        refuse_same(baseline, candidate)
    room = names.room(task)
    paired = [gate for gate in gates if gate.kind == "paired"]
    questions = _paired(paired, baseline, candidates, room) if paired else []
    for gate in gates:
        if gate.kind == "drift":
            questions += drifting.questions(gate, baseline, candidates, room)
    findings = found(questions, night)
    return {
        name: judgement([f for q, f in zip(questions, findings, strict=True) if q.candidate == name])
        for name in candidates
    }


def _paired(gates: Sequence[Gate], baseline: Answers, candidates: Mapping[str, Answers], room: Any) -> list[Question]:
    """A question for each candidate, gate and group, from one pass over all answers."""
    gaps = [disparate.kinds(gate, room) for gate in gates]
    kinds = [_kinds(room, gate, found) for gate, found in zip(gates, gaps, strict=True)]
    states: dict[tuple[str, int, Cell], pairing.State] = {
        (name, index, cell): pairing.zero(kind)
        for name in candidates
        for index, parts in enumerate(kinds)
        for cell, kind in parts.items()
    }
    for name, meeting in pairing.meetings(baseline, candidates):
        for index, (gate, parts, between) in enumerate(zip(gates, kinds, gaps, strict=True)):
            if between is None:
                _add(states, (name, index), gate, parts[()], meeting)
            else:
                _add_gaps(states, (name, index), gate.metric, between, meeting)
    for (_, index, cell), state in states.items():
        if (not cell or gaps[index]) and not state.n:
            raise SpecError(f"no image was answered by both with {gates[index].metric}: there is nothing to pair")
    causes = {name: cause(baseline, candidate) for name, candidate in candidates.items()}
    if "nothing" in causes.values():
        raise SpecError(SAME)
    asked = []
    for (name, index, cell), state in sorted(states.items(), key=lambda item: item[0]):
        gate, upwards = gates[index], disparate.upwards(room, gates[index].metric)
        # Of a gap between groups of which fewer than two are large enough there is nothing to judge.
        images = 0 if math.isnan(state.compute(gate.confidence)["difference"].value) and gaps[index] else state.n
        asked.append(Question(name, gate, dict(cell), state, upwards, causes[name], images))
    return asked


def _kinds(room: Any, gate: Gate, gaps: Mapping[Cell, PerCell] | None) -> Mapping[Cell, pairing.Kind]:
    return {(): pairing.kind_of(room, gate.metric)} if gaps is None else gaps


def _add(
    states: dict[tuple[str, int, Cell], pairing.State],
    key: tuple[str, int],
    gate: Gate,
    kind: pairing.Kind,
    meeting: pairing.Meeting,
) -> None:
    """Add the images of a meeting to the whole and to each group."""
    batch, rows = pairing.side_by_side(meeting, gate.metric, kind)
    states[*key, ()] = states[*key, ()].update(batch)
    columns = {name: values[rows] for name, values in meeting.baseline.columns_of(gate.by).items()}
    for size in range(1, gate.order + 1):
        for chosen in combinations(gate.by, size):
            for cell, members in rows_by_values(columns, chosen):
                state = states.get((*key, cell), pairing.zero(kind))
                states[*key, cell] = pairing.update(state, batch, members)


def _add_gaps(
    states: dict[tuple[str, int, Cell], pairing.State],
    key: tuple[str, int],
    metric: str,
    kinds: Mapping[Cell, PerCell],
    meeting: pairing.Meeting,
) -> None:
    """Add the images of a meeting to each gap between groups."""
    for cell, kind in kinds.items():
        batch, _ = pairing.side_by_side(meeting, f"{metric} {kind.needs}", kind)
        states[*key, cell] = states[*key, cell].update(batch)
