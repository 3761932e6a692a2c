"""A job run for someone who watches: progress on stderr, the result on stdout as text or as one JSON document."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from jobs.spec import Job, Progress, Report

if TYPE_CHECKING:
    from cluster.tracking import Outcome
    from vision.accumulator import Estimate

LINE_EVERY_S = 5.0


def carry_out(job: Job, dry_run: bool, format: str, tag: Mapping[str, str]) -> int:  # noqa: A002
    """Run a job, tracked and tagged, and show its report, or its parts' reports; returns the exit code."""
    from cluster import tracking
    from jobs import arrow
    from jobs.engine.joining import stop_ray

    if dry_run:
        return rehearse(job)
    arrow.without_pandas()
    show = Show()
    try:
        with stdout_kept_clean():
            outcomes = tracking.tracked_parts(job, show.say, show.progress, tags=tag)
            # Ray's last words about workers that died must not follow the answer.
            stop_ray()
    finally:
        show.close()
    if len(outcomes) == 1 and isinstance(outcomes[0].report, Exception):
        raise outcomes[0].report
    _print_json(outcomes) if format == "json" else _print_text(outcomes)
    return max(_failed(outcome) for outcome in outcomes)


def _failed(outcome: Outcome) -> int:
    """Say why a part of a job has no report; returns the exit code."""
    if not isinstance(outcome.report, Exception):
        return 0
    click.echo(f"safelight: {_title(outcome)}: {' '.join(str(outcome.report).splitlines())}", err=True)
    return 1


def _title(outcome: Outcome) -> str:
    """What tells a part from the others: its model."""
    return ",".join(getattr(outcome.job, "model", ()))


def _print_json(outcomes: Sequence[Outcome]) -> None:
    """One document: the report, or `runs` with one for each part that has one."""
    from cluster import provenance
    from cluster.document import document, to_json

    found = [
        document(provenance.job_name(one.job), one.run_id, one.report, tables_at(one.report, one.run_id))
        for one in outcomes
        if isinstance(one.report, Report)
    ]
    click.echo(to_json(found[0] if len(outcomes) == 1 else {"runs": found}), nl=False)


def _print_text(outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        if isinstance(outcome.report, Report):
            if len(outcomes) > 1:
                click.secho(f"\n{_title(outcome)}", bold=True)
            print_report(outcome.report, outcome.run_id)


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Send to stderr what libraries and their children print, so that stdout holds the answer and nothing else."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def tables_at(report: Report, run_id: str | None) -> dict[str, str]:
    """Where a run's tables are found: an address that MLflow's clients can download."""
    names = [*report.tables, *(["groups"] if report.groups else [])]
    return {name: f"runs:/{run_id}/tables/{name}.parquet" for name in names} if run_id else {}


def rehearse(job: Job) -> int:
    """Print what a job is and what it would cost."""
    from cluster.masking import masked
    from cluster.settings import settings
    from cluster.tracking import Watched

    click.echo(masked(job.to_yaml()), nl=False)
    for name, value in job.estimate(Watched(settings(), lambda _line: None, lambda _progress: None)).items():
        click.echo(f"# {name}: {value}")
    return 0


class Show:
    """Progress as a bar on a terminal, and as a line now and then elsewhere. Always on stderr."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._line_at = -math.inf
        self._terminal = sys.stderr.isatty()

    def say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            click.echo(line, err=True)

    def progress(self, progress: Progress) -> None:
        if self._terminal:
            self._draw(progress)
        elif time.monotonic() - self._line_at >= LINE_EVERY_S or progress.shards == progress.of_shards:
            self._line_at = time.monotonic()
            click.echo(f"{progress.images:,}/{progress.of_images:,} {progress.things}, {_pace(progress)}", err=True)

    def _draw(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        if self._bar is None:
            self._bar = Bar(
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[things]}"),
                BarColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=progress.of_images, things=progress.things)
            self._bar.start()
        self._bar.update(
            self._task, completed=progress.images, total=progress.of_images, things=progress.things,
            description=_pace(progress),
        )  # fmt: skip

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()


def _pace(progress: Progress) -> str:
    left_s = (progress.of_images - progress.images) / progress.images_per_s if progress.images_per_s else math.inf
    left = "" if not math.isfinite(left_s) else f", {_duration(left_s)} left"
    broken = f", {progress.errors} broken" if progress.errors else ""
    each = f" ({progress.images_per_s / progress.workers:,.1f} a worker)" if progress.workers > 1 else ""
    done = f"{progress.unit} {progress.shards}/{progress.of_shards}"
    return f"{done}, {progress.images_per_s:,.1f} {progress.things}/s{each}{left}{broken}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def print_report(report: Report, run_id: str | None) -> None:
    """The headline of a report: metrics with intervals, groups, where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    if report.metrics:
        table = Table("metric", "value", "95 % interval", "n", box=None, pad_edge=False)
        for metric, estimate in report.metrics.items():
            table.add_row(metric, *cells(estimate))
        console.print(table)
    if report.groups:
        console.print(_groups(report))
    if report.errors:
        console.print(f"{report.errors:,} broken images (rows with `error`)", highlight=False)
    for note in report.notes:
        console.print(note, highlight=False, markup=False)
    if report.output:
        console.print(f"output   {report.output}", highlight=False, markup=False, soft_wrap=True)
    if run_id:
        console.print(f"run      {run_id}   (safelight results open {run_id[:8]})", highlight=False, soft_wrap=True)


def cells(estimate: Estimate) -> tuple[str, str, str]:
    """Value, interval and n as text."""
    return number(estimate.value), f"{number(estimate.low)} .. {number(estimate.high)}", f"{estimate.n:,}"


def number(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if value == 0 or abs(value) >= 5e-5 else f"{value:.2e}"


def _groups(report: Report) -> Any:
    """One row a group, the first metrics as columns."""
    from rich.table import Table

    names = [n for n in report.metrics if any(n in m for _, m in report.groups)] or list(report.groups[0][1])
    names = names[:4]
    table = Table("group", *names, "n", box=None, pad_edge=False)
    for by, metrics in report.groups:
        values = [number(metrics[name].value) if name in metrics else "-" for name in names]
        n = max((estimate.n for estimate in metrics.values()), default=0)
        table.add_row(", ".join(f"{column}={value}" for column, value in by.items()), *values, f"{n:,}")
    return table
