"""Gates on the figures of an audit: a night's disparities, shares and leaks against those of an earlier one.

An audit keeps counts and no answers, so two of them are compared as two samples: the interval of the difference is
Newcombe's for rates, and the same rule for figures that have limits of another kind. Where both saw the same images
that is wider than need be; two models on the same images are compared by a gate of `evaluate`, which pairs them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from jobs.cause import SAME
from jobs.findings import BETWEEN, Judgement, Question, found, judgement
from jobs.spec import SpecError, nearest
from vision.accumulator import Estimate
from vision.comparison import Unpaired
from vision.fairness.direction import higher_is_better

if TYPE_CHECKING:
    from jobs.gates import Gate

_ROWS = ("counts_sha256", "table_sha256", "corpus_digest", "model_digest", "files")
_MODEL, _DATA = ("model_digest",), ("table_sha256", "corpus_digest", "counts_sha256", "where", "sample", "join_sha256")


@dataclass(frozen=True)
class Figures:
    """What an audit found.

    Attributes:
        source: what was audited.
        metrics: by name.
        groups: ({column: value}, metrics) of each group.
        facts: digests and what else it is known by.
    """

    source: str
    metrics: Mapping[str, Estimate]
    groups: Sequence[tuple[Mapping[str, str], Mapping[str, Estimate]]]
    facts: Mapping[str, str]

    @classmethod
    def of(cls, document: Mapping[str, Any], facts: Mapping[str, str]) -> Figures:
        """From the document of a run."""
        groups = [(one["by"], _estimates(one["metrics"])) for one in document["groups"]]
        return cls(str(document["output"]), _estimates(document["metrics"]), groups, facts)


def refuse_same(baseline: Figures, candidate: Figures) -> None:
    """Refuse the same rows against themselves.

    Raises:
        SpecError: if that is what they are.
    """
    ours, theirs = ([one.facts.get(name) for name in _ROWS] for one in (baseline, candidate))
    if ours == theirs and ours[0] is not None:
        raise SpecError(SAME.replace("model on the same images", "rows"))


def judge_all(
    gates: Sequence[Gate], baseline: Figures, candidates: Mapping[str, Figures], night: int = 1
) -> Mapping[str, Judgement]:
    """All audits of one night against an earlier one, together; rates as in `jobs.gates.judge_all`.

    Raises:
        SpecError: if a figure is not there, or neither of its ends is the better one.
    """
    asked = [
        question
        for name, figures in candidates.items()
        for gate in gates
        for question in _questions(name, gate, baseline, figures)
    ]
    findings = found(asked, night)
    return {
        name: judgement([f for q, f in zip(asked, findings, strict=True) if q.candidate == name]) for name in candidates
    }


def _questions(name: str, gate: Gate, baseline: Figures, candidate: Figures) -> list[Question]:
    try:
        upwards = higher_is_better(gate.metric)
    except ValueError as error:
        raise SpecError(f"gates: {error}") from None
    pairs = dict(_pairs(gate, baseline, candidate))
    if not pairs:
        known = sorted({*candidate.metrics, *(one for _, metrics in candidate.groups for one in metrics)})
        where = f" by {', '.join(gate.by)}" if gate.by else ""
        hint = nearest(gate.metric, known) or f" (there are {', '.join(known[:12])})"
        raise SpecError(f"gates: {gate.metric}{where} is in neither or one of the two audits{hint}")
    why = cause(baseline, candidate)
    return [
        Question(name, gate, dict(cell), Unpaired(*pair), upwards, why, _rows(pair)) for cell, pair in pairs.items()
    ]


def _pairs(
    gate: Gate, baseline: Figures, candidate: Figures
) -> Iterator[tuple[tuple[tuple[str, str], ...], tuple[Estimate, Estimate]]]:
    """What a gate asks about: the figure as it is, or by its columns, for each combination or each group."""
    sides = [c for size in range(1, gate.order + 1) for c in combinations(gate.by, size)]
    metric = gate.metric
    if metric in baseline.metrics and metric in candidate.metrics and not (sides and _is_gap(metric)):
        yield (), (baseline.metrics[metric], candidate.metrics[metric])
    for side in sides:
        ours, theirs = _between(baseline, metric, side), _between(candidate, metric, side)
        if _is_gap(metric) and ours is not None and theirs is not None:
            yield ((BETWEEN, " x ".join(side)),), (ours, theirs)
    wanted = [set(side) for side in sides]
    theirs_by = {tuple(sorted(by.items())): metrics for by, metrics in candidate.groups}
    for by, metrics in baseline.groups:
        other = theirs_by.get(tuple(sorted(by.items())), {})
        if set(by) in wanted and metric in metrics and metric in other:
            yield tuple(by.items()), (metrics[metric], other[metric])


def _is_gap(metric: str) -> bool:
    """Whether a figure is between groups, and so one for each combination of columns."""
    return "." in metric


def _between(figures: Figures, metric: str, side: tuple[str, ...]) -> Estimate | None:
    """A figure by some columns, in any order; an audit by one combination alone has it under its bare name."""
    for name in (".".join((metric, *side)), ".".join((metric, *reversed(side)))):
        if name in figures.metrics:
            return figures.metrics[name]
    alone = {tuple(sorted(by)) for by, _ in figures.groups} == {tuple(sorted(side))}
    return figures.metrics.get(metric) if alone else None


def cause(baseline: Figures, candidate: Figures) -> str:
    """What differs between the two audits, as far as their digests tell: model, data, both, or unknown."""
    changed = {
        name: any(baseline.facts.get(fact) != candidate.facts.get(fact) for fact in facts)
        for name, facts in (("model", _MODEL), ("data", _DATA))
    }
    if changed["model"] and baseline.facts.get("corpus_digest") == candidate.facts.get("corpus_digest"):
        changed["data"] = False  # other answers are other counts
    return " and ".join(name for name, other in changed.items() if other) or "unknown"


def _rows(pair: tuple[Estimate, Estimate]) -> int:
    """Rows of the smaller; of a figure that is not known, none."""
    return 0 if any(math.isnan(one.value) for one in pair) else min(one.n for one in pair)


def _estimates(plain: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    return {
        name: Estimate(_float(one["value"]), _float(one["low"]), _float(one["high"]), int(one["n"]))
        for name, one in plain.items()
    }


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)
