"""What gates found: one finding for each question, and the judgement they add up to, as a table and as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from vision import comparison, evidence
from vision.accumulator import Estimate

if TYPE_CHECKING:
    from jobs.gates import Gate

Verdict = Literal["pass", "fail", "undecided", "insufficient"]
CHANGE = "change"
"""The "column" by which the parts of a drift are told: `mix` and `within`."""
BETWEEN = "between"
"""The "column" by which it is told between whose groups a gap is."""
_PARTS = {"mix": " by change of mix", "within": " by change within groups"}
_ORDER: tuple[Verdict, ...] = ("fail", "undecided", "pass", "insufficient")
_SCHEMA = pa.schema(
    [
        ("metric", pa.string()), ("margin", pa.float64()), ("kind", pa.string()), ("group", pa.string()),
        *[
            (f"{which}{part}", pa.float64())
            for which in ("baseline", "candidate", "difference")
            for part in ("", "_low", "_high")
        ],
        ("n", pa.int64()), ("p", pa.float64()), ("level", pa.float64()), ("verdict", pa.string()),
        ("needed", pa.int64()), ("cause", pa.string()), ("sentence", pa.string()),
    ]
)  # fmt: skip


class State(comparison.Comparison, Protocol):
    """A comparison that knows its estimates and how many images it saw."""

    @property
    def n(self) -> int: ...

    def compute(self, confidence: float = 0.95) -> dict[str, Estimate]: ...


@dataclass(frozen=True)
class Question:
    """What is asked of one candidate by one gate about one group, and all that was counted for it.

    `images` is how many were seen; of two sets, in the smaller.
    """

    candidate: str
    gate: Gate
    group: Mapping[str, str]
    state: State
    higher_is_better: bool
    cause: str
    images: int

    @property
    def enough(self) -> bool:
        """Whether there are images enough to judge; too few are said to be few, and take no part in the rates."""
        return self.images >= (self.gate.min_group if self.group else 1)

    @property
    def error(self) -> float:
        return (1 - self.gate.confidence) / 2


@dataclass(frozen=True)
class Finding:
    """The answer to one question of a gate.

    Attributes:
        group: column to value; empty for all images.
        difference: candidate minus baseline, in the metric's units.
        p: one-sided, that the loss is within the margin: small where the candidate is shown to be worse.
        needed: how many more images would decide, if they came out like these; 0 once decided, None if unknown.
        cause: what differs between the two: "model", "data", "code", several of them, or "unknown".
        level: the p that it takes to fail, this night and among this night's findings.
        improved: whether the candidate is better in the metric's own direction; None for no change.
    """

    gate: Gate
    group: Mapping[str, str]
    baseline: Estimate
    candidate: Estimate
    difference: Estimate
    p: float
    verdict: Verdict
    needed: int | None
    cause: str
    level: float = math.nan
    improved: bool | None = None

    @property
    def where(self) -> str:
        """The group as "column=value, column=value"; empty for all images."""
        return ", ".join(f"{column}={value}" for column, value in self.group.items())

    def sentence(self) -> str:
        """What was found, in plain words."""
        among = _PARTS.get(self.group.get(CHANGE, ""), f" among {self.where}") if self.group else ""
        among = f" {BETWEEN} groups of {self.group[BETWEEN]}" if BETWEEN in self.group else among
        return f"{self.gate.metric} {self._moved()}{among}, {self.difference.n:,} images: {self._so()}"

    def _moved(self) -> str:
        value, low, high, _ = self.difference
        if math.isnan(value):
            return "could not be compared"
        sign, verb = (-1, "fell") if value < 0 else (1, "rose")
        ends = sorted((sign * low, sign * high))
        limits = "" if math.isnan(low) else f" ({ends[0]:.3f} to {ends[1]:.3f})"
        return f"{'did not change' if value == 0 else f'{verb} by {abs(value):.3f}'}{limits}"

    def _so(self) -> str:
        margin = f"the margin {self.gate.margin:g}"
        if self.verdict == "insufficient":
            return f"fewer than {self.gate.min_group}, not judged"
        if self.verdict != "undecided":
            return f"{'within' if self.verdict == 'pass' else 'worse than'} {margin}"
        more = "how many would decide cannot be said" if not self.needed else f"{self.needed:,} more would decide"
        if self.p <= (1 - self.gate.confidence) / 2:
            return f"worse than {margin} if asked alone and once (p {self.p:.2g}, it takes {self.level:.2g}); {more}"
        return f"undecided at {margin}; {more}"


@dataclass(frozen=True)
class Judgement:
    """All findings about one candidate, worst first, and what they come to."""

    findings: tuple[Finding, ...]
    verdict: Literal["pass", "fail", "undecided"]

    def table(self) -> pa.Table:
        """One row a finding; what is not known is null."""
        return pa.Table.from_pylist([_row(finding) for finding in self.findings], _SCHEMA)

    def document(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return {"verdict": self.verdict, "findings": [_row(finding) for finding in self.findings]}


def found(questions: Sequence[Question], night: int) -> list[Finding]:
    """The answers to all questions of a night, in their order."""
    asked = [question for question in questions if question.enough]
    p = {id(q): comparison.worse(q.state, q.gate.margin, q.higher_is_better) for q in asked}
    limits = evidence.levels(np.array(list(p.values())), np.array([q.error for q in asked]), night)
    level = dict(zip(p, limits.tolist(), strict=True))
    return [_found(q, p.get(id(q), math.nan), level.get(id(q))) for q in questions]


def _found(question: Question, p: float, level: float | None) -> Finding:
    gate, state, upwards = question.gate, question.state, question.higher_is_better
    estimates = state.compute(gate.confidence)
    change = estimates["difference"].value
    verdict: Verdict = "insufficient"
    more: int | None = max(0, gate.min_group - question.images)
    if level is not None:
        verdict = comparison.judged(state, gate.margin, upwards, confidence=gate.confidence, level=level)
        more = comparison.needed(state, gate.margin, upwards, confidence=gate.confidence, level=level)
    return Finding(
        gate, question.group, estimates["baseline"], estimates["candidate"], estimates["difference"], p, verdict, more,
        question.cause, math.nan if level is None else level, None if change == 0 else (change > 0) == upwards,
    )  # fmt: skip


def judgement(findings: Sequence[Finding]) -> Judgement:
    """Fail if any finding fails, pass if all that have enough images pass (and one does), else undecided."""
    verdicts = {finding.verdict for finding in findings} - {"insufficient"}
    worst = tuple(sorted(findings, key=_badness))
    if "fail" in verdicts:
        return Judgement(worst, "fail")
    return Judgement(worst, "pass" if verdicts == {"pass"} else "undecided")


def _badness(finding: Finding) -> tuple[int, float, float]:
    """Worst first: by verdict, then by evidence, then by size."""
    loss = abs(finding.difference.value) * (1 if finding.improved else -1)
    p, loss = (math.inf if math.isnan(v) else v for v in (finding.p, loss))
    return _ORDER.index(finding.verdict), p, loss


def _row(finding: Finding) -> dict[str, Any]:
    gate = finding.gate
    row: dict[str, Any] = {"metric": gate.metric, "margin": gate.margin, "kind": gate.kind, "group": finding.where}
    for name in ("baseline", "candidate", "difference"):
        value, low, high, _ = getattr(finding, name)
        row |= {name: _known(value), f"{name}_low": _known(low), f"{name}_high": _known(high)}
    return row | {
        "n": finding.difference.n,
        "p": _known(finding.p),
        "level": _known(finding.level),
        "verdict": finding.verdict,
        "needed": finding.needed,
        "cause": finding.cause,
        "sentence": finding.sentence(),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
