"""`safelight results`: a listing by itself, and a group of commands.

`results evaluate --metric top1` lists runs of a job, `results trend ...` calls a command: a first word that is no
command belongs to the listing. Everything heavy is imported by the command that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from cluster.commands import HELP, Lazy, job_names
from jobs.spec import SpecError, nearest

_HERE = "cluster.results.commands"
COMMANDS = {
    "list": (f"{_HERE}:listing", "runs as a table, newest first; what `results` does without a command"),
    "compare": ("cluster.results.compare:compare", "two runs on the images both answered"),
    "trend": (f"{_HERE}:trend", "metrics over time with what gates found, as a table and a PNG"),
    "night": (f"{_HERE}:night", "what a night found: worse, not run, undecided, better"),
    "sql": (f"{_HERE}:sql", "DuckDB over the views runs, metrics and predictions"),
    "open": (f"{_HERE}:open_page", "the report page of a run"),
    "push": (f"{_HERE}:push", "send what MLflow did not get"),
    "clean": (f"{_HERE}:clean", "delete failed and old runs; lists them first, keeps champions"),
}


class Results(Lazy):
    """A group that lists runs unless its first word is a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in COMMANDS and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[JOB] [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        listing.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


results = Results(
    "results",
    commands_at=COMMANDS,
    context_settings=HELP,
    help="Find the answers again: the runs of a job as a table, newest first.",
)


def _choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose runs, the same everywhere."""
    since = click.option("--since", metavar="14d", help="only runs begun since: 30m, 12h, 14d, 2w or a date")
    where = click.option("--where", multiple=True, metavar="FIELD=VALUE", help="only runs with this field or fact")
    return since(where(command))


def _formats(*forms: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option("--format", "form", type=click.Choice(forms), default=forms[0], help="what stdout gets")


_format = _formats("table", "json", "csv")
_metric = click.option("--metric", multiple=True, metavar="NAME", help="a metric, with its interval; may be repeated")


def _query(job: str | None, where: tuple[str, ...], since: str | None, **words: Any) -> Any:
    """The query of a command's words; an unknown job is refused where no run has it either."""
    from cluster.results.query import Query, pair, search

    query = Query.of(job, [pair(text) for text in where], since, **words)
    if job is not None and job not in job_names() and not search(Query(job, limit=1)):
        raise SpecError(f"there is no job or command {job!r}{nearest(job, [*job_names(), *COMMANDS])}")
    return query


def _names(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for text in metrics for part in text.split(",") if part.strip())


@click.command("list", context_settings=HELP)
@click.argument("job", required=False)
@_choosing
@_metric
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="at most so many runs")
@click.option("--after", metavar="RUN", help="go on behind this run: the last of the page before")
@_format
def listing(
    job: str | None,
    where: tuple[str, ...],
    since: str | None,
    metric: tuple[str, ...],
    limit: int,
    after: str | None,
    form: str,
) -> None:
    """The runs of a job (or of all) as a table, newest first; what gates judged, with its change to the champion."""
    from cluster.document import to_json
    from cluster.results.changes import changes
    from cluster.results.listing import as_csv, as_json, as_text
    from cluster.results.query import search

    names = _names(metric)
    found = search(_query(job, where, since, metrics=names, limit=limit + 1, after=after))
    shown, more = found[:limit], len(found) > limit
    following = shown[-1].run_id if more else None
    changed, unread = changes(shown, names)
    if form == "json":
        click.echo(to_json({"runs": as_json(shown, changed), "more": more, "after": following}), nl=False)
        return
    if form == "csv":
        click.echo(as_csv(shown, names, changed), nl=False)
    else:
        click.echo(as_text(shown, names, job is not None, changed) if shown else "no runs\n", nl=False)
    if unread:
        click.echo(f"change: the gates of {', '.join(id_[:8] for id_ in unread)} cannot be read", err=True)
    if more:
        click.echo(f"more: --after {following}, or choose with --where and --since", err=True)


@click.command(context_settings=HELP)
@click.argument("job", required=False)
@_choosing
@_metric
@click.option("--by", metavar="FIELD", help="a line for each value of this field")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="at most so many runs")
@click.option("--output", type=click.Path(dir_okay=False), help="the PNG; default trend-METRIC.png")
@_format
def trend(
    job: str | None, metric: tuple[str, ...], by: str | None, output: str | None, form: str, **words: Any
) -> None:
    """Metrics over time: a table here, and a PNG with the intervals as bands.

    Marks say what gates found, and where the model, the corpus or the code is another than before.
    """
    from pathlib import Path

    from cluster.results.trend import as_csv, as_json, as_text, draw, points

    names = _names(metric)
    if not names:
        raise SpecError("trend needs --metric NAME")
    series = points(_query(job, metrics=names, **words), by)
    path = Path(output or f"trend-{'-'.join(names)}.png".replace("/", "_"))
    draw(series, path)
    if form == "csv":
        click.echo(as_csv(series), nl=False)
    else:
        click.echo(as_json(series, path) if form == "json" else f"{as_text(series, by)}{path}\n", nl=False)


@click.command(context_settings=HELP)
@click.argument("date", required=False)
@click.option("--output", type=click.Path(dir_okay=False), help="the page; default night-DATE.html")
@_formats("table", "json")
def night(date: str | None, output: str | None, form: str) -> None:
    """What the night of DATE (the newest without) found: a table here, and a page with links to the runs.

    Whatever was found, the exit code is 0: gates have spoken by theirs when they were judged.
    """
    from pathlib import Path

    from cluster.document import to_json
    from cluster.results.night import document
    from cluster.results.night_page import as_text, render

    found = document(date)
    path = Path(output or f"night-{found['date']}.html")
    path.write_text(render(found), encoding="utf-8")
    text = to_json(found | {"page": str(path.resolve())}) if form == "json" else f"{as_text(found)}{path}\n"
    click.echo(text, nl=False)


@click.command(context_settings=HELP)
@click.argument("statement")
@click.option("--run", "given", multiple=True, metavar="RUN", help="read this run's predictions; an id or `latest`")
@_choosing
@_format
def sql(statement: str, given: tuple[str, ...], where: tuple[str, ...], since: str | None, form: str) -> None:
    """DuckDB over results: runs, metrics(run_id, name, value, low, high, n) and predictions(run_id, id, truth, label,
    score, groups...).
    """
    from cluster.document import to_json
    from cluster.results.listing import csv_text, plain, records_text
    from cluster.results.sql import select

    table = select(statement, given, _query(None, where, since))
    rows = table.to_pylist()
    if form == "json":
        click.echo(to_json({"columns": table.column_names, "rows": [plain(row) for row in rows]}), nl=False)
    elif form == "csv":
        click.echo(csv_text(rows, table.column_names), nl=False)
    else:
        click.echo(records_text(rows, table.column_names), nl=False)


@click.command("open", context_settings=HELP)
@click.argument("run")
def open_page(run: str) -> None:
    """Print where the report page of RUN (an id, its beginning, or `latest`) is, and show it if this is a terminal."""
    import sys
    import webbrowser

    from cluster.results.open import page
    from cluster.results.query import find_run
    from cluster.settings import settings

    path = page(find_run(run), settings())
    click.echo(str(path))
    if sys.stdout.isatty():
        webbrowser.open(path.as_uri())


@click.command(context_settings=HELP)
def push() -> None:
    """Send the records that MLflow did not get while its server was away."""
    from cluster.results.push import push as send
    from cluster.settings import settings

    sent = send(settings(), click.echo)
    click.echo(f"{sent} runs completed" if sent else "nothing waits to be sent")


@click.command(context_settings=HELP)
@click.option("--since", metavar="14d", help="only runs begun since")
@click.option("--keep", metavar="30d", help="finished runs too, where they ended longer ago: 12h, 30d, 8w or a date")
@click.option("--yes", is_flag=True, help="delete what is listed")
def clean(since: str | None, keep: str | None, yes: bool) -> None:
    """List failed and killed runs, and records that wait for a push; with --keep, old finished runs as well.

    With --yes, delete them. Champions and the evidence of gates stay: runs whose model version has an alias in the
    registry or whose model is a champion's, runs that a gate judged, and those it compared with.
    """
    from cluster.results.clean import delete, find, kept_lines, kept_since
    from cluster.results.listing import as_text
    from cluster.results.query import since_ms
    from cluster.settings import settings

    begun = None if since is None else since_ms(since)
    found = find(settings(), begun, None if keep is None else kept_since(keep))
    if found.runs:
        click.echo(as_text(found.runs, (), one_job=False), nl=False)
    for journal in found.journals:
        click.echo(f"{journal.folder}  records of {journal.head['job']} that wait for `safelight results push`")
    for line in kept_lines(found):
        click.echo(line)
    if not found.runs and not found.journals:
        click.echo("nothing to clean")
    elif yes:
        delete(found, settings())
        click.echo(f"deleted {len(found.runs)} runs and {len(found.journals)} folders of records")
    else:
        click.echo("nothing was deleted: --yes deletes these")
