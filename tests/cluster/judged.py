"""Toys of a night: jobs that were judged, and nights that came to no run."""

from __future__ import annotations

from pydantic import Field

from jobs.findings import Finding, Judgement, Verdict, judgement
from jobs.gates import Gate
from jobs.spec import Context, Report
from tests.cluster.toys import Toy
from vision.accumulator import Estimate

DATE = "2026-11-20"


class Nightly(Toy):
    """A job whose report is that of a night."""

    night: str = f"nightly@{DATE}"

    def run(self, context: Context | None = None) -> Report:
        report = super().run(context)
        return Report(metrics=report.metrics, tags={"night": self.night})


class Judged(Nightly):
    """One that was judged too; what was found is chosen by a word."""

    found: str = "pass"
    facts: dict[str, str] = Field(default_factory=dict)

    def run(self, context: Context | None = None) -> Report:
        report = super().run(context)
        judged = findings(self.found)
        tags = {**report.tags, **self.facts, "verdict": judged.verdict, "against": "models:/shapes@champion"}
        return Report(metrics=report.metrics, tags=tags, tables={"gates": judged.table()})


class Night(Nightly):
    """A night that came to no run."""

    reason: str = ""

    def run(self, context: Context | None = None) -> Report:
        return Report(tags={"night": self.night, "skipped": self.reason} if self.reason else {"night": self.night})


def findings(word: str) -> Judgement:
    """What a gate found: the whole and, for `loses`, one group that lost."""
    change = {"pass": -0.001, "better": 0.05, "loses": 0.01, "fail": -0.06, "undecided": -0.02}[word]
    verdict: Verdict = {"better": "pass", "loses": "pass"}.get(word, word)  # type: ignore[assignment]
    found = [_finding("top1", {}, change, verdict, 1_234 if word == "undecided" else 0)]
    if word == "loses":
        found.append(_finding("top1", {"sex": "f"}, -0.08, "fail", 0))
        found.append(_finding("cross_entropy", {}, -0.2, "pass", 0))
    return judgement(found)


def _finding(metric: str, group: dict[str, str], change: float, verdict: Verdict, needed: int) -> Finding:
    def around(value: float) -> Estimate:
        return Estimate(value, value - 0.008, value + 0.008, 5000)

    gate = Gate(metric=metric, margin=0.01)
    return Finding(gate, group, around(0.8), around(0.8 + change), around(change), 0.01, verdict, needed, "model")
