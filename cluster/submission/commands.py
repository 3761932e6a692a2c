"""`safelight submit JOB` and `safelight jobs list|status|logs|stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cluster.commands import HELP, Jobs, pairs
from jobs.spec import Job

if TYPE_CHECKING:
    from cluster.submission.following import Ended
    from cluster.submission.listing import Entry
    from cluster.submission.server import Server
    from cluster.submission.submit import Submission


def _options() -> list[click.Parameter]:
    """What `submit` may be told beside the job's fields."""
    return [
        click.Option(["--wait"], is_flag=True, help="follow the log, and exit with the job's code"),
        click.Option(["--key"], default="", help="tells two submissions of the same job apart, such as a date"),
        click.Option(["--label"], multiple=True, callback=pairs, metavar="NAME=VALUE", help="to find the job by"),
        click.Option(["--owner"], default="", help="for whom  [default: the name of the user]"),
        click.Option(["--queue"], default="", help="Kueue's queue, for manifests"),
        click.Option(["--priority"], default="", help="Kueue's priority class, for manifests"),
        click.Option(
            ["--retries"], type=click.IntRange(0), default=3, help="new starts of a killed driver  [default: 3]"
        ),
        click.Option(["--max-gpus"], type=float, help="no more workers than so many GPUs allow"),
        click.Option(["--driver-cpus"], type=click.FloatRange(0), default=0.0, help="CPUs kept for the driver"),
        click.Option(["--driver-memory-gb"], type=click.FloatRange(0), default=0.0, help="memory kept for the driver"),
        click.Option(["--credentials"], is_flag=True, help="send the keys of S3 and MLflow that are set here"),
        click.Option(["--env"], multiple=True, metavar="NAME", help="send this variable too, as a secret"),
    ]


def _submit(job: Job, options: dict[str, Any]) -> int:
    from cluster.settings import settings
    from cluster.submission import submit as sending
    from cluster.submission.attending import attend
    from cluster.submission.server import connect

    dry, wait, form = (options.pop(name) for name in ("dry_run", "wait", "format"))
    asked = {"key": options.pop("key"), "labels": options.pop("label"), "tags": options.pop("tag")}
    wishes, where = sending.Wishes(**{**options, "env": tuple(options["env"])}), settings()
    prepared = sending.prepare(job, **asked, wishes=wishes, where=where)
    if dry:
        _show(prepared, where.ray_address)
        return 0
    server = connect(where.ray_address)
    if not wait:
        _tell(sending.send(prepared, server, where, _say), form, wait)
        return 0
    sent, end = attend(prepared, server, where, _say, lambda sent: _tell(sent, form, wait))
    assert end is not None
    return _ended(sent.name, end, form)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _show(submission: Submission, address: str) -> None:
    """What would be sent: of secrets only the names."""
    from cluster.masking import masked
    from cluster.submission.parcel import entrypoint, hidden

    click.echo(hidden(submission.job.to_yaml(), submission.secret), nl=False)
    facts = {"submission": submission.base, "cluster": masked(address), "entrypoint": entrypoint(submission.job)}
    facts |= {name.removeprefix("safelight."): value for name, value in submission.metadata.items()}
    facts |= {"tags": ", ".join(f"{name}={value}" for name, value in submission.tags.items())}
    facts |= {f"sends {name}": masked(value) for name, value in submission.told.items()}
    facts |= {f"sends {name}": "***" for name in submission.secret}
    for name, value in facts.items():
        if value:
            click.echo(f"# {name}: {value}")


def _tell(sent: Any, form: str, wait: bool) -> None:
    from cluster.document import to_json

    state = (sent.found or "submitted").lower()
    known = {"succeeded": "is done already (another --key makes it another job)"}
    told = f"{sent.name} {known.get(state, 'runs already' if sent.found else 'is submitted')}"
    if wait:
        _say(told)
    elif form == "json":
        click.echo(to_json({"id": sent.name, "state": state, "new": sent.found is None}), nl=False)
    else:
        click.echo(f"{told}\nsee     safelight jobs logs {sent.name} --follow")


def _ended(name: str, end: Ended, form: str) -> int:
    """Say what came of a job; its exit code."""
    from cluster.submission import answer

    if end.document is not None:
        answer.show(end.document, form)
    if end.state == "stopped":
        _say(f"safelight: {name} was stopped; submit the same again to go on from what is committed")
    elif end.code and end.document is None and "safelight:" not in end.reason:
        _say(f"safelight: {name} failed: {end.reason}")
    return end.code


submit = Jobs(
    "submit",
    act=_submit,
    more=_options(),
    help="Run a job on the cluster at RAY_ADDRESS: the same words as `safelight run`.",
    context_settings=HELP,
)


@click.group(context_settings=HELP)
def jobs() -> None:
    """Jobs on the cluster at RAY_ADDRESS: those that `safelight submit` sent there."""


def _server() -> Server:
    from cluster.settings import settings
    from cluster.submission.server import connect

    return connect(settings().ray_address)


def _details(server: Server, abbreviated: str) -> Any:
    from cluster.submission import naming

    known = {one.submission_id: one for one in server.all()}
    return known[naming.find(abbreviated, list(known))]


_form = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="what stdout gets")


@jobs.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, help="how many, newest first  [default: 20]")
@click.option("--state", type=click.Choice(["pending", "running", "succeeded", "failed", "stopped"]), help="only these")
@click.option("--owner", help="only those of this owner")
@_form
def list_(limit: int, state: str | None, owner: str | None, form: str) -> None:
    """Jobs, newest first: state, progress, age, owner, run."""
    from cluster.document import to_json
    from cluster.submission.listing import entry

    server = _server()
    found = [
        one for one in server.all()
        if state in (None, one.status.value.lower()) and owner in (None, one.metadata.get("safelight.owner"))
    ]  # fmt: skip
    entries = [entry(one, server.log(one.submission_id)) for one in found[:limit]]
    if form == "json":
        click.echo(to_json({"jobs": [one.to_dict() for one in entries], "all": len(found)}), nl=False)
        return
    _table(entries)
    if len(found) > limit:
        _say(f"{len(found) - limit} older: --limit {len(found)}")


def _table(entries: list[Entry]) -> None:
    import sys

    from rich.console import Console
    from rich.table import Table

    from cluster.submission.listing import duration

    table = Table("id", "state", "age", "owner", "run", "progress", box=None, pad_edge=False)
    for one in entries:
        run = ",".join(run[:8] for run in one.runs)
        table.add_row(one.id, one.state, duration(one.age_s), one.owner, run, one.progress[:60])
    Console(width=None if sys.stdout.isatty() else 160).print(table, highlight=False, markup=False)


@jobs.command()
@click.argument("id")
@_form
def status(id: str, form: str) -> None:  # noqa: A002
    """One job, by its id or the beginning of it."""
    from cluster.document import to_json
    from cluster.submission.listing import duration, entry

    server = _server()
    details = _details(server, id)
    facts = entry(details, server.log(details.submission_id)).to_dict()
    if form == "json":
        click.echo(to_json(facts), nl=False)
        return
    facts |= {"labels": ", ".join(f"{name}={value}" for name, value in facts["labels"].items())}
    facts |= {"runs": ", ".join(facts["runs"]), "age_s": duration(facts["age_s"])}
    for name, value in facts.items():
        if value not in (None, ""):
            click.echo(f"{name.removesuffix('_s'):<9} {value}")


@jobs.command()
@click.argument("id")
@click.option("--follow", is_flag=True, help="until the job ends; exits with its code")
def logs(id: str, follow: bool) -> int:  # noqa: A002
    """What a job has said so far."""
    from cluster.submission import following

    server = _server()
    name = _details(server, id).submission_id
    if follow:
        end = following.follow(server, name, click.echo)
        return 0 if end is None else end.code
    for line in following.words(server.log(name)):
        click.echo(line)
    return 0


@jobs.command()
@click.argument("id")
def stop(id: str) -> None:  # noqa: A002
    """End a job; the same submission goes on from what is committed."""
    server = _server()
    details = _details(server, id)
    if details.status.is_terminal():
        click.echo(f"{details.submission_id} is over already: {details.status.value.lower()}")
        return
    server.stop(details.submission_id)
    click.echo(f"{details.submission_id} is being stopped; submit the same again to go on from what is committed")
