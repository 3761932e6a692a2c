"""`safelight show` and `safelight verify`: what is there, and whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click


@click.command()
@click.argument("reference", metavar="CORPUS|PREDICTIONS|MODEL|NET")
@click.option("--sheet", type=click.Path(dir_okay=False), help="draw a contact sheet of the first pictures (PNG)")
@click.option("--input", "inputs", metavar="3x224x224", help="what a net takes, if not its preprocessing's size")
@click.option("--arguments", metavar="JSON", help="what a net named by its dotted name is built with")
@click.option("--code", type=click.Path(file_okay=False), help="folder of Python modules that names may point into")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="what stdout gets")
def show(
    reference: str, sheet: str | None, inputs: str | None, arguments: str | None, code: str | None, form: str
) -> None:
    """Say what something is: rows, columns, classes, digests; of a net each layer's shape, cost and receptive field."""
    from cluster.document import to_json
    from cluster.settings import settings
    from cluster.tracking import Watched
    from jobs.describing import describe, pictures
    from vision import names
    from vision.architecture import Architecture

    if code is not None:
        names.trust(code)
    context = Watched(settings(), lambda _line: None, lambda _progress: None)
    facts = describe(reference, context, inputs, arguments)
    report = facts.get("architecture")
    if isinstance(report, Architecture):
        facts["architecture"] = report.to_dict() if form == "json" else "as follows"
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
    if isinstance(report, Architecture):
        click.echo(f"\n{_aligned(report.table())}\n\n{report.note}")


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns side by side: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    numbers = {n for n, heading in enumerate(rows[0]) if heading in ("parameters", "multiply-adds", "field", "jump")}
    lines = (
        "  ".join(
            cell.rjust(w) if n in numbers else cell.ljust(w)
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


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
