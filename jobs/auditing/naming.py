"""Counts under the names that people gave: groups and outcomes as declared, labels by the names of their classes."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.auditing.source import Columns
from jobs.intake.groups import Groups
from vision.fairness.counts import OTHER, Cube
from vision.fairness.rates import PREDICTION, TRUTH
from vision.fairness.tally import Tally
from vision.grouping import MISSING


def named(tally: Tally, columns: Columns, declared: Groups, classes: tuple[str, ...] | None, top: int | None) -> Tally:
    """The same counts under declared names, of each column the `top` most frequent values where that is given.

    Raises:
        JobFailed: if a value was not declared, with a groups file that would take it.
    """
    assert tally.cube is not None
    names = {column: _spelt(tally.cube, column, column, declared) for column in (*tally.by, *tally.also)}
    for role, column in ((TRUTH, columns.truth), (PREDICTION, columns.prediction)):
        if role in tally.outcomes and column is not None:
            names[role] = _classes(classes) if classes else _spelt(tally.cube, role, column, declared)
    tally = tally.each(lambda cube: _renamed(cube, names))
    for column in tally.by if top is not None else ():
        tally = _fewer(tally, column, top or 1)
    return tally


def _fewer(tally: Tally, column: str, top: int) -> Tally:
    """All values of a column but the most frequent as one."""
    assert tally.cube is not None
    other = {column: dict.fromkeys(tally.cube.rare(column, top), OTHER)}
    return tally.each(lambda cube: _renamed(cube, other))


def _spelt(cube: Cube, place: str, column: str, declared: Groups) -> dict[str, str]:
    values = [value for value in cube.levels[cube.place(place)] if value != MISSING]
    return declared.spelt(column, values)


def _renamed(cube: Cube, names: Mapping[str, Mapping[str, str]]) -> Cube:
    for column, known in names.items():
        if column in cube.columns and known:
            cube = cube.renamed(column, known)
    return cube


def _classes(classes: tuple[str, ...]) -> dict[str, str]:
    """Labels by name; of two classes with one name the number is told as well: they are not one class."""
    return {str(i): name if classes.count(name) == 1 else f"{i} {name}" for i, name in enumerate(classes)}
