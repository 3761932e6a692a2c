"""`safelight stack`: the servers of a cluster on this machine, by one command."""

from __future__ import annotations

from pathlib import Path

import click

from cluster.commands import HELP
from jobs.spec import SpecError

_PORT = click.IntRange(1024, 65535)


@click.group(context_settings=HELP)
def stack() -> None:
    """Ray with a token, MLflow on PostgreSQL and an S3 server, here and on loopback only."""


_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("stack"),
    show_default=True,
    help="where the servers keep data, logs, ports and keys",
)


@stack.command(context_settings=HELP)
@_folder
@click.option("--ray-port", type=_PORT, help="of Ray's head; free ports are taken without")
@click.option("--dashboard-port", type=_PORT, help="of Ray's page and job server")
@click.option("--mlflow-port", type=_PORT, help="of MLflow's page and server")
@click.option("--s3-port", type=_PORT, help="of the S3 server")
@click.option("--cpus", type=click.IntRange(1), help="cores for jobs; all without")
def up(folder: Path, cpus: int | None, **ports: int | None) -> None:
    """Start what does not run yet, wait until it answers, and say how a shell gets to use it."""
    from cluster.stack.place import listens
    from cluster.stack.process import Process
    from cluster.stack.together import up as start

    folder = folder.resolve()
    wanted = {name.removesuffix("_port"): port for name, port in ports.items() if port is not None}
    for name, port in wanted.items():
        if Process(_owner(name), folder).running() is None and listens(port):
            raise SpecError(f"{name}-port: somebody else listens on {port}")
    place = start(folder, wanted, cpus, click.echo)
    click.echo(f"\nfor this shell:   . {place.environment}\nto stop it:       safelight stack down --folder {folder}")


@stack.command(context_settings=HELP)
@_folder
def down(folder: Path) -> None:
    """Stop what `up` started, and nothing else; data, ports and keys stay for the next time."""
    from cluster.stack.together import down as stop

    if not stop(folder.resolve(), click.echo):
        click.echo(f"nothing of {folder} runs")


@stack.command(context_settings=HELP)
@_folder
def status(folder: Path) -> None:
    """What runs, and where."""
    from cluster.stack.together import status as look

    lines = [f"{name:<9} {'runs' if runs else '-':<5} {about}" for name, runs, about in look(folder.resolve())]
    click.echo("\n".join(lines) or f"there is no stack in {folder}: `safelight stack up` makes one")


def _owner(port: str) -> str:
    return "ray" if port == "dashboard" else port
