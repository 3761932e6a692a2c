"""`safelight results compare`: two runs on the images both answered, with a verdict where a margin is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from jobs.spec import SpecError

if TYPE_CHECKING:
    from jobs.answers import Answers
    from jobs.compare import Outcome

EXITS = {None: 0, "pass": 0, "fail": 3, "undecided": 4}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("baseline")
@click.argument("candidate")
@click.option("--metric", default="top1", show_default=True, help="a metric that both have")
@click.option("--margin", type=float, help="the loss that would be accepted; without it there is no verdict")
@click.option("--unpaired", is_flag=True, help="as two samples: of different images, or for metrics that are no means")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", help="what stdout gets")
def compare(baseline: str, candidate: str, metric: str, margin: float | None, unpaired: bool, form: str) -> int:
    """Compare CANDIDATE with BASELINE: runs (ids, their beginnings, `latest`) or folders of predictions.

    With --margin the exit code is 0 for pass, 3 for fail, 4 for undecided.
    """
    from cluster.document import to_json
    from jobs.compare import compare as compare_answers
    from jobs.compare import document

    (first, task), (second, other_task) = _answers(baseline), _answers(candidate)
    if task != other_task:
        raise SpecError(f"one run is of the task {task} and the other of {other_task}")
    outcome = compare_answers(first, second, metric, margin, unpaired, task)
    if form == "json":
        click.echo(to_json(document(outcome, baseline, candidate)), nl=False)
    else:
        for line in _lines(outcome):
            click.echo(line)
    return EXITS[outcome.verdict]


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
    lines = [f"{outcome.metric:<11} value     95 % interval          n"]
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
