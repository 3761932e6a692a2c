"""Two sets of answers compared by one metric: image by image where both answered, or as two samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs import flow, pairing
from jobs.answers import Answers
from jobs.cause import refuse_same
from jobs.spec import SpecError
from vision import comparison, names
from vision.accumulator import Estimate
from vision.comparison import Paired, Unpaired


@dataclass(frozen=True)
class Outcome:
    """A comparison and, where a margin was given, its verdict.

    Attributes:
        estimates: baseline, candidate and difference (candidate minus baseline).
        counts: both_right, only_baseline, only_candidate and neither, for rates on the same images.
        unanswered: images that only one of the two answered.
        needed: how many more images would decide; 0 once decided, None if that cannot be said.
    """

    metric: str
    estimates: Mapping[str, Estimate]
    counts: Mapping[str, int | None]
    mcnemar_p: float | None
    unanswered: int = 0
    margin: float | None = None
    verdict: str | None = None
    needed: int | None = None
    confidence: float = 0.95


def compare(
    baseline: Answers,
    candidate: Answers,
    metric: str,
    margin: float | None,
    unpaired: bool,
    task: str,
    confidence: float = 0.95,
) -> Outcome:
    """Compare two sets of answers by one metric, with intervals at `confidence`.

    Raises:
        SpecError: if they are the same, have no image in common, or the metric cannot be compared.
    """
    refuse_same(baseline, candidate)
    room = names.room(task)
    state: pairing.State | Unpaired
    if unpaired:
        state, unanswered = _as_samples(baseline, candidate, metric, room), 0
    else:
        state, unanswered = _paired(baseline, candidate, pairing.kind_of(room, metric), metric)
    counts = {name: getattr(state, name, None) for name in ("both_right", "only_baseline", "only_candidate", "neither")}
    p = state.mcnemar_p() if isinstance(state, Paired) else None
    outcome = Outcome(metric, state.compute(confidence), counts, p, unanswered, confidence=confidence)
    if margin is None:
        return outcome
    upwards = room.higher_is_better(metric)
    decided = comparison.judged(state, margin, upwards, confidence=confidence)
    more = comparison.needed(state, margin, upwards, confidence=confidence)
    return replace(outcome, margin=margin, verdict=decided, needed=more)


def document(outcome: Outcome, baseline: str, candidate: str) -> dict[str, Any]:
    """The outcome as the plain values that `--format json` prints; what is not known is null."""
    return {
        "baseline": baseline,
        "candidate": candidate,
        "metric": outcome.metric,
        **outcome.counts,
        "mcnemar_p": outcome.mcnemar_p,
        "difference": _plain(outcome.estimates["difference"]),
        "margin": outcome.margin,
        "verdict": outcome.verdict,
        "needed": outcome.needed,
    }


def _plain(estimate: Estimate) -> dict[str, Any]:
    values = estimate._asdict().items()
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values}


def _as_samples(baseline: Answers, candidate: Answers, metric: str, room: Any) -> Unpaired:
    found = []
    for answers in (baseline, candidate):
        metrics = flow.fold(answers, room.suite(answers.corpus)).compute()
        if metric not in metrics:
            raise SpecError(f"{answers.output} has no metric {metric!r}, only {', '.join(metrics)}")
        found.append(metrics[metric])
    return Unpaired(*found)


def _paired(baseline: Answers, candidate: Answers, kind: pairing.Kind, metric: str) -> tuple[pairing.State, int]:
    """The comparison image by image, and how many images only one of the two answered."""
    state, unanswered = pairing.zero(kind), 0
    for _, meeting in pairing.meetings(baseline, {"candidate": candidate}):
        batch, rows = pairing.side_by_side(meeting, metric, kind)
        state = state.update(batch)
        seen, met = len(meeting.baseline.ids) + len(meeting.candidate.ids), len(meeting.ours)
        unanswered += seen - met - len(rows)
    if not state.n:
        raise SpecError("no image was answered by both: compare two samples with --unpaired")
    return state, unanswered
