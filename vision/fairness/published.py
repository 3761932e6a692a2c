"""Published figures of who is in a data set, beside what is found here, and whether they can be recomputed at all.

References: Buolamwini & Gebru, "Gender Shades", FAT* 2018, for IJB-A and Adience; Han & Jain, "Age, gender and race
estimation from unconstrained face images", Michigan State University 2014, for LFW.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vision.accumulator import Estimate
from vision.fairness.representation import Composition

PREDICTED = "predicted_"


@dataclass(frozen=True)
class Figure:
    """A published share of one group: `note` says what it is a share of, and what it would take to recompute it."""

    dataset: str
    column: str
    group: str
    share: float
    recomputable: bool
    note: str


FIGURES = (
    Figure(
        "lfw", "gender", "male", 0.775, True,
        "a share of images, by three crowd workers; the manual lists of names give 77.6, and 74.3 of persons",
    ),
    Figure(
        "lfw", "race", "white", 0.835, False,
        "by three crowd workers, whose labels are not public; a race that a model predicts is another quantity",
    ),
    Figure("ijb-a", "skin", "lighter", 0.796, False, "a share of subjects; the skin types are not public"),
    Figure("adience", "skin", "lighter", 0.862, False, "a share of subjects; the skin types are not public"),
)  # fmt: skip


@dataclass(frozen=True)
class Beside:
    """A published figure, and the share found here: in which column, and how large."""

    figure: Figure
    column: str | None
    found: Estimate | None


def beside(dataset: str, compositions: Sequence[Composition]) -> list[Beside]:
    """The published figures of a data set beside the shares of the same groups; those of predicted ones are told apart.

    Raises:
        ValueError: if nothing published is known of it.
    """
    known = [figure for figure in FIGURES if figure.dataset == dataset.lower()]
    if not known:
        names = ", ".join(dict.fromkeys(figure.dataset for figure in FIGURES))
        raise ValueError(f"published: nothing is known of {dataset!r}, only of {names}")
    rows = []
    for figure in known:
        found = [
            Beside(figure, column, share)
            for composition in compositions
            for column in (figure.column, PREDICTED + figure.column)
            if composition.columns == (column,)
            for cell, share in zip(composition.cells, composition.shares(), strict=True)
            if cell[0][1].lower() == figure.group
        ]
        rows += found or [Beside(figure, None, None)]
    return rows
