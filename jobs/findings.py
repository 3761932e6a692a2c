"""What gates found: one finding for each question, and the judgement they add up to, as a table and as plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from vision.accumulator import Estimate

if TYPE_CHECKING:
    from jobs.gates import Gate

Verdict = Literal["pass", "fail", "undecided", "insufficient"]
_ORDER: tuple[Verdict, ...] = ("fail", "undecided", "pass", "insufficient")
_SCHEMA = pa.schema(
    [
        ("metric", pa.string()), ("margin", pa.float64()), ("kind", pa.string()), ("group", pa.string()),
        *[
            (f"{which}{part}", pa.float64())
            for which in ("baseline", "candidate", "difference")
            for part in ("", "_low", "_high")
        ],
        ("n", pa.int64()), ("p", pa.float64()), ("verdict", pa.string()), ("needed", pa.int64()),
        ("cause", pa.string()), ("sentence", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """The answer to one question of a gate.

    Attributes:
        group: column to value; empty for all images.
        difference: candidate minus baseline, in the metric's units.
        p: one-sided, that the loss is within the margin: small where the candidate is shown to be worse.
        needed: how many more images would decide, if they came out like these; 0 once decided, None if unknown.
        cause: what differs between the two: "model", "data", "code", several of them, or "unknown".
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

    @property
    def where(self) -> str:
        """The group as "column=value, column=value"; empty for all images."""
        return ", ".join(f"{column}={value}" for column, value in self.group.items())

    def sentence(self) -> str:
        """What was found, in plain words."""
        change = self.difference.value
        moved = "did not change" if change == 0 else f"{'rose' if change > 0 else 'fell'} by {abs(change):.3f}"
        return f"{self.gate.metric} {moved}{f' among {self.where}' if self.group else ''}"


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


def judgement(findings: Sequence[Finding]) -> Judgement:
    """Fail if any finding fails, pass if all that have enough images pass (and one does), else undecided."""
    verdicts = {finding.verdict for finding in findings} - {"insufficient"}
    worst = tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.verdict)))
    if "fail" in verdicts:
        return Judgement(worst, "fail")
    return Judgement(worst, "pass" if verdicts == {"pass"} else "undecided")


def _row(finding: Finding) -> dict[str, Any]:
    gate = finding.gate
    row: dict[str, Any] = {"metric": gate.metric, "margin": gate.margin, "kind": gate.kind, "group": finding.where}
    for name in ("baseline", "candidate", "difference"):
        value, low, high, _ = getattr(finding, name)
        row |= {name: _known(value), f"{name}_low": _known(low), f"{name}_high": _known(high)}
    return row | {
        "n": finding.difference.n,
        "p": _known(finding.p),
        "verdict": finding.verdict,
        "needed": finding.needed,
        "cause": finding.cause,
        "sentence": finding.sentence(),
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
