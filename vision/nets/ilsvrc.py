"""What the lectures and papers report on ILSVRC, a row for each claim with its source, to lay beside runs of one's own.

Errors in percent. Claims that disagree (how well people do) are all kept, each with who says it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Reported:
    """One row of `ilsvrc_results.csv`.

    Attributes:
        entry: net, team or person.
        layers: with weights, where told.
        nets: how many were averaged: a number, "several", or "" where it is not told.
        train_side: shorter side in training, "256" or a range "256-512"; "" where it is not told.
        test_sides: shorter sides over which answers were averaged.
        top1_val, top5_val, top5_test: errors in percent, lowest and highest of a claimed range; None if not told.
        source: who says so.
    """

    entry: str
    year: int | None
    layers: int | None
    nets: str
    train_side: str
    test_sides: tuple[int, ...]
    top1_val: tuple[float, float] | None
    top5_val: tuple[float, float] | None
    top5_test: tuple[float, float] | None
    source: str


@cache
def ilsvrc_results() -> tuple[Reported, ...]:
    """All rows, in the order of the file."""
    text = files("vision.nets").joinpath("ilsvrc_results.csv").read_text(encoding="utf-8")
    return tuple(_row(row) for row in csv.DictReader(text.splitlines()))


def _row(row: dict[str, str]) -> Reported:
    return Reported(
        entry=row["entry"],
        year=int(row["year"]) if row["year"] else None,
        layers=int(row["layers"]) if row["layers"] else None,
        nets=row["nets"],
        train_side=row["train_side"],
        test_sides=tuple(map(int, row["test_sides"].split())),
        top1_val=_range(row["top1_val"]),
        top5_val=_range(row["top5_val"]),
        top5_test=_range(row["top5_test"]),
        source=row["source"],
    )


def _range(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    low, _, high = text.partition("-")
    return float(low), float(high or low)
