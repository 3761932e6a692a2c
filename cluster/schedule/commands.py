"""`safelight schedule`: evaluations every night. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from cluster.commands import HELP, Lazy
from jobs.spec import SpecError

_HERE = "cluster.schedule.commands"
COMMANDS = {
    "list": (f"{_HERE}:listing", "entries, their last nights and verdicts"),
    "next": (f"{_HERE}:upcoming", "the nights to come"),
    "tick": (f"{_HERE}:tick", "run what is due now, and return"),
    "loop": (f"{_HERE}:loop", "run what is due whenever it is, until SIGTERM"),
    "export": (f"{_HERE}:export", "the same as manifests for KubeRay, cron or systemd"),
}

schedule = Lazy(
    "schedule",
    commands_at=COMMANDS,
    context_settings=HELP,
    help="Evaluations every night, from nightly.yaml: each runs once, is judged by its gates, and told.",
)


def _file(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--file", "path", type=click.Path(path_type=Path), default=Path("nightly.yaml"), show_default=True,
        help="the entries",
    )(command)  # fmt: skip


_format = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="what stdout gets")
_now = click.option("--now", hidden=True, callback=lambda _ctx, _param, value: _moment(value))


def _moment(text: str | None) -> datetime | None:
    """A moment with a zone, or None.

    Raises:
        SpecError: if it is none.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise SpecError(f"now: expected a time with a zone such as 2026-03-29T02:30:00+01:00, got {text!r}")
    return found


@click.command("list", context_settings=HELP)
@_file
@_format
def listing(path: Path, form: str) -> None:
    """Show the entries, and how their last nights went."""
    from cluster.document import to_json
    from cluster.schedule.ledger import Ledger
    from cluster.schedule.reading import read
    from cluster.schedule.showing import list_text, listed
    from cluster.settings import settings

    rows = listed(read(path), Ledger(settings().state).records())
    click.echo(to_json({"entries": rows}) if form == "json" else list_text(rows), nl=False)


@click.command("next", context_settings=HELP)
@_file
@click.option("--days", type=click.IntRange(1, 366), default=7, show_default=True, help="how far to look")
@_format
@_now
def upcoming(path: Path, days: int, form: str, now: datetime | None) -> None:
    """Show the nights to come, in each entry's own zone."""
    from cluster.document import to_json
    from cluster.results.listing import aligned
    from cluster.schedule.clock import Clock
    from cluster.schedule.reading import read
    from cluster.schedule.showing import upcoming as coming_nights

    rows = coming_nights(read(path), Clock(now).now(), days)
    if form == "json":
        click.echo(to_json({"nights": rows}), nl=False)
    else:
        click.echo(aligned([["at", "night", "job"], *([r["at"], r["night"], r["job"]] for r in rows)]), nl=False)


@click.command(context_settings=HELP)
@_file
@click.option("--entry", metavar="NAME", help="only this entry, and what is chained to it")
@click.option("--date", type=click.DateTime(["%Y-%m-%d"]), help="with --entry: its night of this date, unless finished")
@click.option("--here", is_flag=True, help="run jobs in this process, whatever `on` and RAY_ADDRESS say")
@_format
@_now
def tick(path: Path, entry: str | None, date: datetime | None, here: bool, form: str, now: datetime | None) -> int:
    """Run what is due now, each night once, whoever else ticks.

    The exit code is that of the worst night: 0; 4 undecided; 3 a gate failed; 1 it failed.
    """
    from cluster.document import to_json
    from cluster.running import stdout_kept_clean
    from cluster.schedule import night as nights
    from cluster.schedule import showing
    from cluster.schedule import tick as ticking
    from cluster.schedule.clock import Clock
    from cluster.schedule.reading import read
    from cluster.settings import settings

    entries, where, clock = read(path), settings(), Clock(now)
    if here:
        entries = tuple(one.model_copy(update={"on": "here"}) for one in entries)
    if date is not None and entry is None:
        raise SpecError("date: --entry NAME says whose night")
    with stdout_kept_clean():
        if date is not None and entry is not None:
            found = [ticking.again(entries, entry, date.date(), where, clock, _say)]
        else:
            found = ticking.tick(entries, where, clock, _say, entry)
    if form == "json":
        click.echo(to_json({"nights": [nights.document(night, where) for night in found]}), nl=False)
    else:
        click.echo("\n".join(map(showing.night_text, found)) if found else "nothing is due")
    return ticking.code(found)


@click.command(context_settings=HELP)
@_file
@_now
def loop(path: Path, now: datetime | None) -> None:
    """Run what is due whenever it is, until SIGTERM: for a machine that stays on."""
    from cluster.schedule.clock import Clock
    from cluster.schedule.loop import loop as run_loop
    from cluster.schedule.showing import night_text
    from cluster.settings import settings

    run_loop(path, settings(), Clock(now), _say, lambda night: click.echo(night_text(night)))


def _say(line: str) -> None:
    from cluster.masking import masked

    click.echo(masked(line), err=True)


@click.command(context_settings=HELP)
@_file
@click.option("--to", "target", type=click.Choice(["kuberay", "cron", "systemd"]), required=True, help="for whom")
@click.option("--image", default="safelight:latest", show_default=True, help="kuberay: the image that runs it")
@click.option(
    "--kind", type=click.Choice(["raycronjob", "cronjob"]), default="cronjob", show_default=True,
    help="kuberay: RayCronJob (alpha, KubeRay 1.6 and newer) or Kubernetes' CronJob that makes a RayJob",
)  # fmt: skip
def export(path: Path, target: str, image: str, kind: str) -> None:
    """Print manifests that do the same elsewhere."""
    from cluster.schedule.export import manifests
    from cluster.schedule.reading import read

    click.echo(manifests(read(path), target, path, image=image, kind=kind), nl=False)
