"""`safelight show` and `safelight verify`: what is there, and whether it is whole."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("reference", metavar="CORPUS|PREDICTIONS|MODEL|NET")
@click.option("--sheet", type=click.Path(dir_okay=False), help="draw a contact sheet of the first pictures (PNG)")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="what stdout gets")
def show(reference: str, sheet: str | None, form: str) -> None:
    """Say what something is: rows, columns, classes, digests, layers."""
    from cluster.document import to_json
    from cluster.settings import settings
    from cluster.tracking import Watched
    from jobs.describing import describe, pictures

    facts = describe(reference, Watched(settings(), lambda _line: None, lambda _progress: None))
    if sheet is not None:
        from vision.sheet import contact_sheet

        Path(sheet).write_bytes(contact_sheet(pictures(reference)))
    if form == "json":
        click.echo(to_json(facts), nl=False)
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        if value not in ("", None):
            click.echo(f"{name:<{width}}  {value}")
    if sheet is not None:
        click.echo(f"{'sheet':<{width}}  {sheet}")


@click.command()
@click.argument("corpus")
def verify(corpus: str) -> int:
    """Check every shard of CORPUS against the sha256 that its manifest holds."""
    from jobs.verifying import problems

    found = 0
    for problem in problems(corpus, lambda line: click.echo(line, err=True)):
        found += 1
        click.echo(problem)
    click.echo(f"{found} problems in {corpus}" if found else f"{corpus} is whole", err=bool(found))
    return 1 if found else 0
