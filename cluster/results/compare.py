"""`safelight results compare`: two runs on the images both answered, with a verdict where a margin is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cluster.commands import HELP
from jobs.spec import SpecError

if TYPE_CHECKING:
    from jobs.answers import Answers
    from jobs.compare import Outcome
    from jobs.findings import Judgement

EXITS = {None: 0, "pass": 0, "fail": 3, "undecided": 4}


@click.command(context_settings=HELP)
@click.argument("baseline")
@click.argument("candidate")
@click.option("--metric", default="top1", show_default=True, help="a metric that both have")
@click.option("--margin", type=float, help="the loss that would be accepted; without it there is no verdict")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="of the intervals")
@click.option("--by", help="columns, comma-separated, whose groups are compared as well")
@click.option("--min-group", type=int, default=100, show_default=True, help="with --by: fewer images are not judged")
@click.option("--unpaired", is_flag=True, help="as two samples: of different images, or for metrics that are no means")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="what stdout gets")
def compare(
    baseline: str,
    candidate: str,
    metric: str,
    margin: float | None,
    confidence: float,
    by: str | None,
    min_group: int,
    unpaired: bool,
    form: str,
) -> int:
    """Compare CANDIDATE with BASELINE: runs (ids, their beginnings, `latest`) or folders of predictions.

    With --margin the exit code is 0 for pass, 3 for fail, 4 for undecided. With --by, groups are judged as well, at the
    margin or at 0, and one that fails or is undecided decides where there is a margin; of those that fail no more
    than (1 - confidence) / 2 are expected to be false.
    """
    from cluster.document import to_json
    from jobs.compare import compare as compare_answers
    from jobs.compare import document

    (first, task), (second, other_task) = _answers(baseline), _answers(candidate)
    if task != other_task:
        raise SpecError(f"one run is of the task {task} and the other of {other_task}")
    if not 0.5 < confidence < 1:
        raise SpecError(f"confidence must be between 0.5 and 1, got {confidence}")
    outcome = compare_answers(first, second, metric, margin, unpaired, task, confidence)
    groups = _judged(by, first, second, metric, margin or 0.0, confidence, min_group, unpaired, task) if by else None
    verdict = groups.verdict if groups and margin is not None else outcome.verdict
    if form == "json":
        found = {"groups": _plain(groups, margin), "verdict": verdict} if groups else {}
        click.echo(to_json({**document(outcome, baseline, candidate), **found}), nl=False)
    else:
        for line in [*_lines(outcome), *(_groups(groups, margin) if groups else [])]:
            click.echo(line)
    return EXITS[verdict]


def _judged(
    by: str,
    baseline: Answers,
    candidate: Answers,
    metric: str,
    margin: float,
    confidence: float,
    min_group: int,
    unpaired: bool,
    task: str,
) -> Judgement:
    """The whole and each group, judged together."""
    from jobs.gates import Gate, judge

    if min_group < 2:
        raise SpecError(f"min_group must be 2 or more, got {min_group}")
    columns = tuple(filter(None, by.split(",")))
    gate = Gate(
        metric=metric, margin=margin, by=columns, min_group=min_group, confidence=confidence,
        kind="drift" if unpaired else "paired",
    )  # fmt: skip
    return judge([gate], baseline, candidate, task)


def _plain(judgement: Judgement, margin: float | None) -> list[dict[str, Any]]:
    """The findings as plain values; without a margin there is no verdict."""
    findings: list[dict[str, Any]] = judgement.document()["findings"]
    unknown = {} if margin is not None else dict.fromkeys(("margin", "p", "level", "verdict", "needed", "sentence"))
    return [{**finding, **unknown} for finding in findings]


def _groups(judgement: Judgement, margin: float | None) -> list[str]:
    """A line for each group, worst first; the verdict stands where a margin was asked for."""
    lines = ["", f"{'group':<28} difference   interval                     n"]
    for finding in judgement.findings:
        value, low, high, n = finding.difference
        verdict = finding.verdict if margin is not None or finding.verdict == "insufficient" else ""
        line = f"{finding.where or 'all':<28} {value:+.4f}      {low:+.4f} .. {high:+.4f}   {n:>10,}  {verdict}"
        lines.append(line.rstrip())
    return lines if margin is None else [*lines, "", f"{judgement.verdict} with all groups"]


def _answers(reference: str) -> tuple[Answers, str]:
    """The answers that a reference names, and their task."""
    from cluster.results.query import find_run
    from jobs import storage
    from jobs.answers import recorded
    from jobs.engine.commit import MANIFEST

    if storage.exists(storage.join(storage.absolute(reference), MANIFEST)):
        return recorded({}, storage.absolute(reference)), "classification"
    run = find_run(reference)
    if run.output is None:
        raise SpecError(f"run {run.run_id} ({run.job}) has no answers to compare")
    return recorded(run.fields, run.output), run.fields.get("task") or "classification"


def _lines(outcome: Outcome) -> list[str]:
    return [*_estimates(outcome), *_table(outcome), *_verdict(outcome)]


def _estimates(outcome: Outcome) -> list[str]:
    lines = [f"{outcome.metric:<11} value     {100 * outcome.confidence:g} % interval          n"]
    for name, e in outcome.estimates.items():
        lines.append(f"{name:<11} {e.value:+.4f}   {e.low:+.4f} .. {e.high:+.4f}   {e.n:,}")
    if outcome.unanswered:
        lines.append(f"{outcome.unanswered:,} images were answered by only one of the two and are left out")
    return lines


def _table(outcome: Outcome) -> list[str]:
    counts: dict[str, Any] = dict(outcome.counts)
    if counts["both_right"] is None:
        return []
    return [
        "",
        "                 candidate right   candidate wrong",
        f"baseline right   {counts['both_right']:>15,}   {counts['only_baseline']:>15,}",
        f"baseline wrong   {counts['only_candidate']:>15,}   {counts['neither']:>15,}",
        f"exact McNemar p = {outcome.mcnemar_p:.4g}",
    ]


def _verdict(outcome: Outcome) -> list[str]:
    if outcome.verdict is None:
        return []
    more = "" if outcome.needed in (0, None) else f": {outcome.needed:,} more images like these would decide"
    return ["", f"{outcome.verdict} at margin {outcome.margin:g}{more}"]
