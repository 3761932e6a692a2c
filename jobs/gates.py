"""Gates: rules that turn a comparison into pass, fail or undecided, for all models and groups of a night at once.

Each finding asks two questions of its own. *Is the candidate within the margin?* It passes when its whole interval
lies above the margin. *Is it worse than the margin?* It fails when the evidence for that survives the number of
questions asked tonight and the number of nights they were asked on. Between the two it is undecided, and says how
many more images would decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs import compare
from jobs.answers import Answers
from jobs.findings import Finding, Judgement, judgement
from jobs.spec import SpecError
from vision import names
from vision.comparison import needed, verdict

__all__ = ["Finding", "Gate", "Judgement", "judge", "judge_all"]


class Gate(BaseModel):
    """A rule for one metric: how much may be lost, overall and in which groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = Field("top1", description="a metric that both have")
    margin: float = Field(0.0, ge=0, allow_inf_nan=False, description="the loss that would be accepted")
    by: tuple[str, ...] = Field((), description="columns whose groups are judged as well")
    order: int = Field(1, ge=1, le=4, description="groups of combinations of up to this many columns")
    min_group: int = Field(100, ge=2, description="groups of fewer images are reported, not judged")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="of the intervals; see vision/evidence.py for errors")
    kind: Literal["paired", "drift"] = Field("paired", description="two models on the same images, or one on two sets")


def judge(gates: Sequence[Gate], baseline: Answers, candidate: Answers, task: str, night: int = 1) -> Judgement:
    """One candidate against the baseline; see `judge_all`."""
    return judge_all(gates, baseline, {"candidate": candidate}, task, night)["candidate"]


def judge_all(
    gates: Sequence[Gate], baseline: Answers, candidates: Mapping[str, Answers], task: str, night: int = 1
) -> Mapping[str, Judgement]:
    """All candidates of one night against the baseline, together, so that the rates hold over models and groups.

    Args:
        night: how many nights this series of gates has been judged, 1 on the first.

    Raises:
        SpecError: if a candidate is the baseline, has no image in common with it, or lacks a metric or column.
    """
    if night < 1:
        raise SpecError(f"night must be 1 or more, got {night}")
    room = names.room(task)
    found: dict[str, list[Finding]] = {}
    for name, candidate in candidates.items():
        compare.refuse_same(baseline, candidate)
        for gate in gates:
            upwards = room.higher_is_better(gate.metric)
            state, _ = compare.paired(baseline, candidate, room.per_image(gate.metric), gate.metric)
            estimates = state.compute()
            finding = Finding(gate, {}, **estimates, p=float("nan"), verdict="undecided", needed=None, cause="model")
            decided = verdict(finding.difference, gate.margin, upwards)
            more = needed(state, gate.margin, upwards)
            found.setdefault(name, []).append(replace(finding, verdict=decided, needed=more))
    return {name: judgement(findings) for name, findings in found.items()}
