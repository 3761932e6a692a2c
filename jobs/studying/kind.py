"""What a kind of study is: which trials its fields ask for, how one is carried out, and what its rows mean.

The driver knows none of this: a kind is the `KIND` in the file of its name in `jobs.studying`, so that another one is
another file. A trial is a value: the cell of the grid it stands for, the work as plain fields, and what decides its
outcome, by whose digest its folder is named.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.engine import commit
from jobs.spec import Context
from vision.accumulator import Estimate

if TYPE_CHECKING:
    from jobs.study import Study

SEED = "seed"
"""The axis that is averaged over."""


@dataclass(frozen=True)
class Row:
    """A row of a sheet as one trial gives it.

    Attributes:
        values: numbers, with the intervals that one trial knows; nan where it knows none.
        at: where in the trial: a layer, a step, a number of examples.
        facts: what is told and not averaged.
    """

    values: Mapping[str, Estimate]
    at: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


Outcome = Mapping[str, Sequence[Row]]
"""Rows by the name of their sheet."""


@dataclass(frozen=True)
class Trial:
    """One cell of a grid.

    Attributes:
        cell: axis to value, in the order of the axes.
        work: what carrying it out takes, as plain values.
        identity: what decides the outcome.
    """

    cell: Mapping[str, Any]
    work: Mapping[str, Any]
    identity: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its fingerprint, 16 hexadecimal digits."""
        return commit.digest(self.identity)[:16]

    def __str__(self) -> str:
        return " ".join(f"{axis}={value}" for axis, value in self.cell.items() if value not in (None, ""))


@dataclass(frozen=True)
class Sheet:
    """A table that the rows of all trials make.

    Attributes:
        values: its numbers; the first is drawn.
        over: what may lie along the foot of the plot, the likeliest first.
        shares: numbers that lie in 0..1.
        amounts: numbers from 0 up.
        ratios: numbers above 0 that are averaged, and drawn, as their logarithms.
        stretched: those of `over` whose values stand at distances of their logarithms.
    """

    name: str
    values: tuple[str, ...]
    over: tuple[str, ...]
    shares: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    ratios: tuple[str, ...] = ()
    stretched: tuple[str, ...] = ("depth", "fraction", "shots")


@dataclass(frozen=True)
class Kind:
    """A kind of study.

    Attributes:
        fields: those of a `Study` that it has a use for; others are refused.
        sheets: the tables it makes; the first has the headline.
        plan: the trials that a study asks for, after a look at everything that can be wrong.
        carry_out: a trial's outcome; it may write to the folder it is given, and goes on from what is there.
    """

    fields: frozenset[str]
    sheets: tuple[Sheet, ...]
    plan: Callable[[Study, Context], list[Trial]]
    carry_out: Callable[[Trial, str, Context], Outcome]


def kind(name: str) -> Kind:
    """The kind of study in the file of that name."""
    found: Kind = importlib.import_module(f"jobs.studying.{name}").KIND
    return found


def plain(values: Mapping[str, float]) -> dict[str, Estimate]:
    """Numbers of which one trial knows no interval."""
    return {name: Estimate(value, float("nan"), float("nan"), 1) for name, value in values.items()}
