"""Where images are from: countries and regions, by column or by position, and how many for each million people.

No map and no list of places comes with the package: `--places` and `--populations` are the user's tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from jobs import tables
from jobs.auditing import reporting
from jobs.auditing.checked import Checked
from jobs.auditing.fields import Placing
from jobs.auditing.source import Columns, Source
from jobs.spec import SpecError
from vision.accumulator import Cell, Estimate
from vision.fairness.nearest import Nearest
from vision.fairness.per_capita import PerCapita, per_capita
from vision.fairness.representation import Composition, distance, distance_intervals, spelt
from vision.grouping import text

POPULATION = "population"
_POSITION = ("latitude", "longitude")


def names(job: Placing, known: Sequence[str], by: Sequence[str]) -> list[str]:
    """The columns of the rows, with those that places add.

    Raises:
        SpecError: if places name a column that the rows have, or none that is asked for.
    """
    if job.places is None:
        return list(known)
    added = [name for name in _columns(job.places) if name not in _POSITION]
    double = [name for name in added if name in known and name in by]
    if double:
        raise SpecError(f"places: {double[0]} is a column of the rows already")
    if not set(added) & set(by):
        raise SpecError(f"places: {job.places} has none of the columns {', '.join(by)} (it has {', '.join(added)})")
    return [*known, *(name for name in added if name not in known)]


def placed(job: Placing, source: Source, by: Sequence[str]) -> Source:
    """The rows, with the columns of their nearest places where these are asked for."""
    if job.places is None:
        return source
    return Placed(source, job.places, tuple(name for name in _columns(job.places) if name in by), job.near_km)


@dataclass(frozen=True)
class Placed:
    """Rows with `columns` of the nearest place beside them."""

    source: Source
    url: str
    columns: tuple[str, ...]
    near_km: float

    @property
    def parts(self) -> tuple[str, ...]:
        return self.source.parts

    @property
    def rows(self) -> int:
        return self.source.rows

    def names(self) -> list[str]:
        return [*self.source.names(), *self.columns]

    def tables(self, part: str, columns: Columns) -> Iterator[pa.Table]:
        position = (columns.latitude or _POSITION[0], columns.longitude or _POSITION[1])
        others = tuple(name for name in columns.by if name not in self.columns)
        columns.check([*self.source.names(), *self.columns], part)
        replace(columns, by=position).check(self.source.names(), part)
        for table in self.source.tables(part, replace(columns, by=others, also=(*columns.also, *position))):
            place = self._near.of(*(tables.degrees(table, name) for name in position))
            codes = pa.array(np.where(place < 0, 0, place).astype(np.int32), mask=place < 0)
            added = {name: pa.DictionaryArray.from_arrays(codes, values) for name, values in self._values.items()}
            yield pa.table({**{name: table[name] for name in table.column_names}, **added})

    @cached_property
    def _table(self) -> pa.Table:
        return tables.read(self.url)

    @cached_property
    def _values(self) -> Mapping[str, pa.Array]:
        texts = {name: [text(value) for value in self._table[name].to_pylist()] for name in self.columns}
        return {name: pa.array(values, pa.string()) for name, values in texts.items()}

    @cached_property
    def _near(self) -> Nearest:
        try:
            latitude, longitude = (tables.degrees(self._table, name) for name in _POSITION)
            return Nearest(latitude, longitude, self.near_km)
        except ValueError as error:
            raise SpecError(f"places: {self.url}: {error}") from None


def _columns(url: str) -> list[str]:
    found = list(tables.read(url).column_names)
    for name in _POSITION:
        if name not in found:
            raise SpecError(f"places: {url} needs the column {name} (it has {', '.join(found)})")
    return found


def peopled(job: Placing, compositions: Sequence[Composition]) -> Checked:
    """Images for each million people, for each combination of columns that the table of populations knows.

    Raises:
        SpecError: if the table has no population, or none of the columns.
    """
    if job.populations is None:
        return Checked()
    table = tables.read(job.populations)
    known = [one for one in compositions if set(one.columns) <= set(table.column_names)]
    if POPULATION not in table.column_names or not known:
        wanted = ", ".join(compositions[0].columns) if compositions else "--by"
        found = ", ".join(table.column_names)
        raise SpecError(f"populations: {job.populations} needs {POPULATION} and a column of {wanted} (it has {found})")
    metrics, rows, notes = dict[str, Estimate](), list[dict[str, object]](), list[str]()
    for one in known:
        people = _people(table, one.columns)
        try:
            found_ = per_capita(one, people)
        except ValueError as error:
            raise SpecError(f"populations: {error}") from None
        rows += [_row(group) for group in found_]
        metrics |= _far(one, people)
        notes += _said(found_, one.columns)
    return Checked(metrics, {"per_capita": reporting.table(rows)}, tuple(notes))


def _people(table: pa.Table, columns: tuple[str, ...]) -> dict[Cell, float]:
    sums: dict[Cell, float] = {}
    for row in table.select([*columns, POPULATION]).to_pylist():
        if not isinstance(row[POPULATION], int | float) or isinstance(row[POPULATION], bool):
            raise SpecError(f"populations: {POPULATION} holds {row[POPULATION]!r}, which is no number of people")
        cell = tuple((name, text(row[name])) for name in columns)
        sums[cell] = sums.get(cell, 0.0) + float(row[POPULATION])
    return sums


def _far(one: Composition, people: Mapping[Cell, float]) -> dict[str, Estimate]:
    """How many images would have to be from elsewhere for all people to have as many."""
    images = dict(zip(one.cells, one.counts.tolist(), strict=True))
    cells = tuple(people)
    counted = Composition(one.columns, cells, np.array([images.get(cell, 0) for cell in cells], np.int64))
    if not counted.n:
        return {}
    far = distance_intervals(counted, distance(counted, people))
    return {".".join(("per_capita", name, *one.columns)): value for name, value in far.items()}


def _row(one: PerCapita) -> dict[str, object]:
    return {"group": spelt(one.cell), "images": one.images, "population": one.population,
            **reporting.parts("per_million", one.per_million), "to_all": one.to_all}  # fmt: skip


def _said(found: Sequence[PerCapita], columns: tuple[str, ...]) -> list[str]:
    known = [one for one in found if one.to_all == one.to_all]
    most, least = known[0], known[-1]
    said = [
        f"images for each million people by {' and '.join(columns)}: most for {spelt(most.cell)} "
        f"({most.per_million.value:.3g}), fewest for {spelt(least.cell)} ({least.per_million.value:.3g})"
    ]
    nobody = sum(1 for one in known if not one.images)
    unknown = [one for one in found if one.to_all != one.to_all]
    if nobody:
        said.append(f"{nobody:,} of {len(known):,} groups with a population have no image")
    if unknown:
        said.append(
            f"{sum(one.images for one in unknown):,} images are from {len(unknown):,} groups without a population"
        )
    return said
